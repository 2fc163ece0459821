#!/usr/bin/env bash
# Makes the pictures of the README anew: the quickstart in a terminal, and the cards of the page at /.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
cargo build --locked --quiet --example quickstart
# It paints only for a terminal, so it gets one.
script --quiet --return --command "env -u NO_COLOR TERM=xterm-256color COLUMNS=96 ${CARGO_TARGET_DIR:-target}/debug/examples/quickstart" /dev/null </dev/null |
  node docs/pictures/terminal.mjs "cargo run --example quickstart" >docs/quickstart.svg
# shellcheck source=tests/clients/server.sh
source tests/clients/server.sh
tests/clients/install.sh
serve
node docs/pictures/cards.mjs docs/cards.png
