#!/usr/bin/env bash
# Adds the digest of a repository to the summary of a GitHub Actions job:  morning-digest.sh OWNER/REPOSITORY
#
# Starts the server for this one question, as GITHUB_TOKEN's owner, behind a key that nobody else knows, and ends it.
# BUILT is the folder with the programs; without GITHUB_STEP_SUMMARY the digest goes to standard output.
set -euo pipefail

repository=${1:?OWNER/REPOSITORY}
built=${BUILT:-target/release}
folder=$(mktemp -d)
server=

end() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap end EXIT

fail() {
  echo "$1" >&2
  tail -n 20 "$folder/log" >&2
  exit 1
}

LOCAL_KEY=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
export LOCAL_KEY PORT=${PORT:-3000} STATE_DIR=$folder/state STORE_URL=memory:
"$built/pr-summarizer" 2>"$folder/log" &
server=$!

for ((tries = 0; ; tries += 1)); do
  if curl --silent --fail --max-time 2 --output /dev/null --noproxy '*' "http://127.0.0.1:$PORT/readyz"; then break; fi
  kill -0 "$server" 2>/dev/null || fail "The server ended."
  ((tries < 100)) || fail "The server was not ready within 10 s."
  sleep 0.1
done

status=0
MCP_KEY=$LOCAL_KEY "$built/examples/summarize" "$repository" "http://127.0.0.1:$PORT/mcp" >"$folder/digest.md" || status=$?
# 5: there is an answer, but some summaries are still missing. It says which.
case $status in
  0) ;;
  5) echo "::warning::Some summaries were not ready in time." >&2 ;;
  *) fail "There is no digest (code $status)." ;;
esac
cat "$folder/digest.md" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
