#!/usr/bin/env bash
# Installs the client programs' packages, exactly as locked: install.sh [conformance]. What is there already is kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Puts a mark beside what was installed: the lock file it was installed from.
up_to_date() { [[ -f $1/.installed-from ]] && cmp -s "$1/.installed-from" "$2"; }

projects=(typescript-1.x typescript-2.x graphql ../browser ../../examples/clients)
if [[ ${1:-} == conformance ]]; then projects=(conformance); fi
for project in "${projects[@]}"; do
  if up_to_date "$project/node_modules" "$project/package-lock.json"; then continue; fi
  (cd "$project" && npm ci --no-fund --no-audit --ignore-scripts --loglevel=error)
  cp "$project/package-lock.json" "$project/node_modules/.installed-from"
done

if [[ ${1:-} == conformance ]]; then exit; fi
# The environment of a Python program; LiteLLM's has some hundred packages, which may take minutes.
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=…)" >&2; exit 1; }
for project in python litellm; do
  if up_to_date "$project/.venv" "$project/requirements.txt"; then continue; fi
  rm -rf "$project/.venv"
  "$python" -m venv "$project/.venv"
  timeout 900 "$project/.venv/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$project/requirements.txt"
  cp "$project/requirements.txt" "$project/.venv/.installed-from"
done
