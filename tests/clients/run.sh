#!/usr/bin/env bash
# Runs the real clients against one running server: MCP_URL if given, otherwise the quickstart's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/clients/server.sh
source ./server.sh
./install.sh
# shellcheck disable=SC2119 # no flags: every site is this machine by its address
serve

failed=()
run() {
  local name=$1
  shift
  # A client that hangs must not hang the run.
  timeout --kill-after=10 300 "$@" || failed+=("$name")
}
run "typescript 1.x" node typescript-1.x/client.mjs
run "typescript 2.x" node typescript-2.x/client.mjs
run "python" python/.venv/bin/python python/client.py

if ((${#failed[@]} > 0)); then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
