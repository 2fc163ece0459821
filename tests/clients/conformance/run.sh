#!/usr/bin/env bash
# The protocol's own conformance suite and the MCP Inspector, against the program that ships and against the same stack
# with the suite's tools, prompts and resources on it. What may fail is listed, each with its reason; anything else that
# fails ends the run with an error, and so does anything listed that passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/clients/server.sh
source ../server.sh

node=$(newer_node)
suite=$PWD/node_modules/@modelcontextprotocol/conformance/dist/index.js
inspector=$PWD/node_modules/.bin/mcp-inspector
folder=$(mktemp -d)


failed=()
run() {
  local name=$1 log=$folder/log
  shift
  # Whatever the tools write for themselves goes to a folder that is removed.
  if HOME=$folder timeout --kill-after=10 400 "$@" >"$log" 2>&1; then
    echo "ok    $name · $(grep '^Total:' "$log" || true)"
  else
    failed+=("$name")
    echo "FAIL  $name"
    cat "$log"
  fi
}

target=${CARGO_TARGET_DIR:-$root/target}/debug
(cd "$root" && cargo build --locked --quiet --bin pr-summarizer --example conformance)

suite_passes() {
  local name=$1
  local revision
  for revision in 2026-07-28 2025-11-25; do
    run "$name, $revision" "$node" "$suite" server --url "$MCP_URL" --requirements "$revision" \
      --expected-failures "expected/$name-$revision.yaml"
  done
}

inspector_passes() {
  local name=$1 tool=$2 era
  for era in modern legacy; do
    run "Inspector, $name, $era, tools/list" "$node" "$inspector" --cli "$MCP_URL" --transport http --protocol-era "$era" \
      --strict --method tools/list
    run "Inspector, $name, $era, tools/call" "$node" "$inspector" --cli "$MCP_URL" --transport http --protocol-era "$era" \
      --method tools/call --tool-name "$tool"
  done
}

PORT=$("$node" -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
serve_program "$target/pr-summarizer" PORT="$PORT" STATE_DIR="$folder/state" STORE_URL=memory: \
  SESSION_SECRET=a-secret-of-the-conformance-runs-only SCALEKIT_ENVIRONMENT_URL=http://127.0.0.1:9 \
  SCALEKIT_CLIENT_ID=nobody SCALEKIT_CLIENT_SECRET=nothing GITHUB_CONNECTION_NAME=github
export MCP_URL=http://127.0.0.1:$PORT/mcp
until_ready "http://127.0.0.1:$PORT/readyz"
suite_passes program
inspector_passes program auth_status
for era in modern legacy; do
  run "Inspector, program, $era, card" "$node" "$inspector" --cli "$MCP_URL" --transport http --protocol-era "$era" \
    --method tools/call --tool-name summarize_prs --app-info --advertise-apps
done
stop_serving

serve_program "$target/examples/conformance"
until_told MCP_URL
suite_passes stack
inspector_passes stack test_simple_text
stop_serving
unset MCP_URL

serve --oauth
run "authorization server" "$node" authorization.mjs "$suite"
settings=()
while read -r line; do settings+=(-e "$line"); done <"$STDIO_ENV"
for era in modern legacy; do
  run "Inspector, stdio, $era, tools/list" "$node" "$inspector" --cli "$PROGRAM" stdio "${settings[@]}" \
    --transport stdio --protocol-era "$era" --strict --method tools/list
  run "Inspector, stdio, $era, tools/call" "$node" "$inspector" --cli "$PROGRAM" stdio "${settings[@]}" \
    --transport stdio --protocol-era "$era" --method tools/call --tool-name auth_status
done
stop_serving

rm -rf "$folder"
if ((${#failed[@]} > 0)); then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
