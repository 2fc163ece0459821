#!/usr/bin/env bash
# Measures the program as it ships beside others:  benches/compare/run.sh [FLAGS of the bench, such as --write or --gates]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --locked --release --quiet --bin pr-summarizer
# The gates compare with the floor alone, which needs neither Node nor Python.
if [[ " $* " != *" --gates "* ]]; then benches/compare/servers/install.sh; fi
# The bench is built into the same folder, and with it the program as benches have it.
cp "$target/release/pr-summarizer" "$target/pr-summarizer-as-shipped"
PROGRAM=$target/pr-summarizer-as-shipped cargo bench --locked --quiet --bench compare -- "$@"
