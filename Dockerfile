# syntax=docker/dockerfile:1

# Builds with BuildKit (Docker 23 or newer, podman, buildah):
#   docker build -t pr-summarizer .
# Are the settings complete? Makes no files and calls nobody; exit code 78 lists what is wrong:
#   docker run --rm --env-file .env pr-summarizer --check-config
# On your own machine; browsers and agents reach the container by the port it is published on:
#   docker run -p 127.0.0.1:3000:3000 -v pr-summarizer:/state --env-file .env \
#     -e AUTH_MODE=oauth -e HOST=0.0.0.0 -e PUBLIC_BASE_URL=http://127.0.0.1:3000 pr-summarizer
# with SCALEKIT_*, GITHUB_CONNECTION_NAME and SESSION_SECRET (openssl rand -base64 32) in .env. The
# other modes trust everybody who reaches them, and a container cannot tell who does.
# In public the same with PUBLIC_BASE_URL=https://…, behind a proxy that ends TLS and passes on the
# Host header.

# Where the disk at /state belongs to root and nobody else can change that before the start (Render
# mounts it so), build with --build-arg IMAGE_VARIANT=root-owned-disk.
ARG IMAGE_VARIANT=rootless

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
FROM gcr.io/distroless/cc-debian12:nonroot AS rootless
COPY --from=build /out/program/ /
# The folder comes inside another one, so that it keeps its permissions.
COPY --from=build --chown=65532:65532 /out/data/ /
# Does it start here, with this C library?
RUN ["/pr-summarizer", "--version"]
ENV STATE_DIR=/state
VOLUME ["/state"]
USER 65532:65532
ENTRYPOINT ["/pr-summarizer"]

# Starts as root to hand over the disk, then becomes the same user as above for good and in the same
# process, which therefore gets the signals. If that fails, nothing is served.
FROM debian:bookworm-slim AS root-owned-disk
COPY --from=rootless /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/program/ /
RUN ["/pr-summarizer", "--version"]
ENV STATE_DIR=/state
VOLUME ["/state"]
ENTRYPOINT ["/bin/sh", "-ec", "chown 65532:65532 \"$STATE_DIR\"; chmod 0700 \"$STATE_DIR\"; exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs /pr-summarizer \"$@\"", "pr-summarizer"]

FROM ${IMAGE_VARIANT}
