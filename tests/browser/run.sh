#!/usr/bin/env bash
# Headless Chromium over several sites: the linking flow on one's own machine, then the attacks and every page of a server
# for strangers. CHROMIUM names another binary. A server given by MCP_URL is walked through the linking flow alone.
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
stop_serving
unset MCP_URL REPOSITORY PERSON
serve --several-sites --oauth
timeout --kill-after=10 240 node attacks.mjs
timeout --kill-after=10 240 node pictures.mjs
