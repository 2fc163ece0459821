#!/usr/bin/env bash
# Fuzzes what reads what others wrote:  tests/fuzz/run.sh [EXECUTIONS in all, 1,000,000] [TARGET…]
#
# Coverage comes from LLVM's own pass, so that the toolchain of this repository is enough; `cargo +nightly fuzz run
# --fuzz-dir tests/fuzz TARGET` adds the address sanitizer where there is a nightly one. A finding is left in
# target/fuzz/TARGET and named at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)
executions=${1:-1000000}
(($# > 0)) && shift
# Its share of the executions, in thousandths: the two that go through sockets take milliseconds each.
share() {
  case $1 in
    repository) echo 400 ;;
    diff | clients) echo 150 ;;
    claims | browser | text) echo 95 ;;
    door) echo 10 ;;
    answers) echo 5 ;;
  esac
}
targets=("$@")
if ((${#targets[@]} == 0)); then targets=(repository text diff claims browser clients door answers); fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
passes="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
passes+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
RUSTFLAGS="$passes" cargo build --locked --release --quiet --target "$host" --bins

failed=()
for target in "${targets[@]}"; do
  found=$CARGO_TARGET_DIR/$target
  mkdir -p "$found"
  runs=$((executions * $(share "$target") / 1000))
  # The corpus of the repository is read; what is new goes to the first folder.
  seeds=()
  if [[ -d corpus/$target ]]; then seeds=("corpus/$target"); fi
  if RUST_LOG=off "$CARGO_TARGET_DIR/$host/release/$target" -runs="$runs" -max_len=8192 -timeout=20 -rss_limit_mb=1024 \
    -artifact_prefix="$found/finding-" -verbosity=0 -print_final_stats=1 "$found" "${seeds[@]}" >"$found.log" 2>&1; then
    echo "ok    $target · $(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log") executions, at most $(sed -n 's/^stat::peak_rss_mb: *//p' "$found.log") MB"
  else
    failed+=("$target")
    echo "FAIL  $target"
    tail -n 40 "$found.log"
  fi
done
if ((${#failed[@]} > 0)); then
  printf 'findings: %s\n' "${failed[@]}"
  exit 1
fi
