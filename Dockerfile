# syntax=docker/dockerfile:1

# Builds with BuildKit (Docker 23 or newer, podman, buildah):
#   docker build -t pr-summarizer .
# Are the settings complete? Makes no files and calls nobody; exit code 78 lists what is wrong:
#   docker run --rm --env-file .env pr-summarizer --check-config
# This version serves the machine it runs on, so the container shares the host's loopback (Linux):
#   docker run --network host --env-file .env -v pr-summarizer:/state pr-summarizer

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# The caches outlive the layer: a change of ours does not build the dependencies again. What is
# needed later leaves the cached folder in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin pr-summarizer \
    && install -D -m 0755 target/release/pr-summarizer /out/program/pr-summarizer \
    && install -d -m 0700 /out/data/state

# glibc, libgcc and the certificate authorities, without a shell; `nonroot` is user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/program/ /
# The folder comes inside another one, so that it keeps its permissions.
COPY --from=build --chown=65532:65532 /out/data/ /
# Does it start here, with this C library?
RUN ["/pr-summarizer", "--version"]
ENV STATE_DIR=/state
VOLUME ["/state"]
USER 65532:65532
ENTRYPOINT ["/pr-summarizer"]
