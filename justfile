# What one does here. `just` alone lists it.

[private]
default:
    @just --list --unsorted

# Serve with the settings of the environment and of .env
run *arguments:
    cargo run -- {{ arguments }}

# See it work: offline, without an account and without a key
demo *arguments:
    cargo run --example quickstart -- {{ arguments }}

# Everything that needs nothing but Rust and a C compiler
test:
    .ci/run test

# Formatting and clippy, warnings are errors
lint:
    .ci/run fmt
    .ci/run lint

# How good the LLM of OPENAI_API_KEY or OPENAI_BASE_URL writes, with the server's prompt and check
evaluate *arguments:
    cargo run --example evaluate -- {{ arguments }}

# Real MCP clients against the real server (installs them)
clients:
    .ci/run clients

# The attacks that only a browser can show, and every page, in headless Chromium; pictures go to FOLDER
pictures folder="target/screenshots":
    SCREENSHOTS="{{ absolute_path(folder) }}" .ci/run browser

# Fuzz what reads what others wrote: EXECUTIONS in all
fuzz executions="1000000":
    tests/fuzz/run.sh {{ executions }}

# The server beside a bare one and others; `--write` makes BENCHMARKS.md anew, `--gates` compares with the bare one alone
bench *flags:
    benches/compare/run.sh {{ flags }}

# The flow, the pointer and the sessions under RUNS random interleavings and crashes over each store
interleavings runs="3000":
    INTERLEAVINGS={{ runs }} cargo test --locked --test it interleavings -- --nocapture

# Write .env.example and the README's settings anew from their table
docs:
    UPDATE_DOCS=1 cargo test --test architecture

# All that the continuous integration does
ci:
    .ci/run all
