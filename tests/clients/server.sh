# shellcheck shell=bash
# Sourced by the runners: `serve [flags…]` starts the quickstart's server and exports MCP_URL, REPOSITORY and PERSON;
# when the shell ends, exactly that process is ended. A server given by MCP_URL is used as it is and left alone.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server_pid=
server_folder=

stop_serving() {
  if [[ -n $server_pid ]]; then
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
  fi
  if [[ -n $server_folder ]]; then rm -rf "$server_folder"; server_folder=; fi
}

server_failed() {
  echo "$1" >&2
  echo "--- what the server said:" >&2
  tail -n 50 "$server_folder/out" "$server_folder/err" >&2 || true
  exit 1
}

serve() {
  if [[ -n ${MCP_URL:-} ]]; then echo "using the server at $MCP_URL"; return; fi
  local quickstart=${CARGO_TARGET_DIR:-$root/target}/debug/examples/quickstart
  (cd "$root" && cargo build --locked --quiet --example quickstart)
  server_folder=$(mktemp -d)
  trap stop_serving EXIT
  # The server ends when its standard input does, so it gets a pipe that this shell holds open.
  mkfifo "$server_folder/in"
  "$quickstart" --serve "$@" <"$server_folder/in" >"$server_folder/out" 2>"$server_folder/err" &
  server_pid=$!
  # Opened for reading and writing: opening a pipe for writing alone would wait for a reader that may have died.
  exec 9<>"$server_folder/in"
  local name tries=0
  for name in MCP_URL REPOSITORY PERSON; do
    until grep -q "^$name=" "$server_folder/out"; do
      kill -0 "$server_pid" 2>/dev/null || server_failed "the server ended before it printed $name"
      ((tries += 1))
      ((tries < 300)) || server_failed "the server did not print $name within 30 s"
      sleep 0.1
    done
    export "$name=$(sed -n "s/^$name=//p" "$server_folder/out" | head -n 1)"
  done
  echo "serving at $MCP_URL"
}
