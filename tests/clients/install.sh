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
if ! up_to_date python/.venv python/requirements.txt; then
  python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=…)" >&2; exit 1; }
  rm -rf python/.venv
  "$python" -m venv python/.venv
  python/.venv/bin/pip install --quiet --disable-pip-version-check --no-input -r python/requirements.txt
  cp python/requirements.txt python/.venv/.installed-from
fi
