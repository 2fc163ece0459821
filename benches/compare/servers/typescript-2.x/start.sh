#!/usr/bin/env bash
# Becomes the server: what is measured is the process that was started.
cd "$(dirname "${BASH_SOURCE[0]}")" && exec node server.mjs
