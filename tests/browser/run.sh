#!/usr/bin/env bash
# Headless Chromium over several sites: the linking flow and the page that asks on one's own machine, then the attacks and
# every page of a server for strangers. CHROMIUM names another binary. A server given by MCP_URL is walked through the linking flow alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/clients/server.sh
source ../clients/server.sh
../clients/install.sh
export SCREENSHOTS=${SCREENSHOTS:-$root/target/screenshots}
given=${MCP_URL:-}
serve --several-sites
timeout --kill-after=10 300 node flow.mjs
if [[ -n $given ]]; then exit; fi
timeout --kill-after=10 240 node page.mjs
stop_serving
unset MCP_URL REPOSITORY PERSON
serve --several-sites --oauth
timeout --kill-after=10 240 node attacks.mjs
timeout --kill-after=10 240 node pictures.mjs
stop_serving
unset MCP_URL REPOSITORY PERSON

# The card in a host. One Inspector for each era of the protocol, each with its own page and sandbox.
../clients/install.sh conformance
inspector=$root/tests/clients/conformance/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js
serve
hosts=()
end_hosts() {
  local pid
  for pid in "${hosts[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$inspector_home"
  stop_serving
}
inspector_home=$(mktemp -d)
trap end_hosts EXIT
host() {
  local era=$1 port sandbox
  read -r port sandbox < <(node -e '
    const { createServer } = require("node:net");
    const [one, two] = [createServer(), createServer()];
    one.listen(0, "127.0.0.1", () => two.listen(0, "127.0.0.1", () => {
      console.log(one.address().port, two.address().port);
      one.close(); two.close();
    }));')
  HOME=$inspector_home CLIENT_PORT=$port MCP_SANDBOX_PORT=$sandbox DANGEROUSLY_OMIT_AUTH=true MCP_AUTO_OPEN_ENABLED=false \
    "$(newer_node)" "$inspector" --web --transport http --server-url "$MCP_URL" --protocol-era "$era" \
    >"$inspector_home/$era" 2>&1 &
  hosts+=("$!")
  await "the Inspector answered" answers "http://127.0.0.1:$port/"
  export "HOST_${era^^}=http://127.0.0.1:$port/"
}
host modern
host legacy
timeout --kill-after=10 240 node card.mjs
