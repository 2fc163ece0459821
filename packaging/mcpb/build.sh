#!/usr/bin/env bash
# Packs the bundle for Claude Desktop and other hosts:  build.sh LINUX MACOS WINDOWS ICON_PNG OUTPUT
# LINUX, MACOS (both processors in one) and WINDOWS are the program as built for each system.
set -euo pipefail
(($# == 5)) || { sed -n '2,3p' "${BASH_SOURCE[0]}" >&2; exit 64; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
install -d "$folder/server"
install -m 0755 "$1" "$folder/server/pr-summarizer-linux"
install -m 0755 "$2" "$folder/server/pr-summarizer-macos"
install -m 0755 "$3" "$folder/server/pr-summarizer.exe"
install -m 0644 "$4" "$folder/icon.png"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
install -m 0644 "$here/manifest.json" "$here/../../LICENSE" "$folder/"
output=$(cd "$(dirname "$5")" && pwd)/$(basename "$5")
rm -f "$output"
(cd "$folder" && zip -q -X -r "$output" manifest.json LICENSE icon.png server)
