#!/usr/bin/env bash
# Walks the linking flow in headless Chromium, over several sites. CHROMIUM names another binary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/clients/server.sh
source ../clients/server.sh
../clients/install.sh
serve --several-sites
SCREENSHOTS=${SCREENSHOTS:-$root/target/screenshots} timeout --kill-after=10 300 node flow.mjs
