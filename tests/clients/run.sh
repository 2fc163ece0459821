#!/usr/bin/env bash
# Runs the real clients against one running server: MCP_URL if given, otherwise the quickstart's, and then a second time
# against one that serves strangers, where each client goes through its own OAuth.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/clients/server.sh
source ./server.sh
./install.sh

failed=()
run() {
  local name=$1
  shift
  # A client that hangs must not hang the run.
  timeout --kill-after=10 300 "$@" || failed+=("$name")
}

given=${MCP_URL:-}
# shellcheck disable=SC2119 # no flags: every site is this machine by its address
serve
run "typescript 1.x" node typescript-1.x/client.mjs
run "typescript 2.x" node typescript-2.x/client.mjs
run "python" python/.venv/bin/python python/client.py
run "examples" node examples/check.mjs
if [[ -z $given ]]; then
  run "typescript 1.x stdio" node typescript-1.x/stdio.mjs
  run "typescript 2.x stdio" node typescript-2.x/stdio.mjs
  run "python stdio" python/.venv/bin/python python/stdio.py
fi

if [[ -z $given ]]; then
  stop_serving
  unset MCP_URL
  serve --oauth
  run "typescript 1.x OAuth" node typescript-1.x/oauth.mjs
  run "typescript 2.x OAuth" node typescript-2.x/oauth.mjs
  run "python OAuth" python/.venv/bin/python python/oauth.py
  run "redirect forms" node hosts/check.mjs
else
  echo "OAuth and standard input and output need a server of their own, so they are left out"
fi

if ((${#failed[@]} > 0)); then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
