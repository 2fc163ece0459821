#!/usr/bin/env bash
# Installs the packages of the servers to compare with, exactly as locked. What is there already is kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Puts a mark beside what was installed: the lock file it was installed from.
up_to_date() { [[ -f $1/.installed-from ]] && cmp -s "$1/.installed-from" "$2"; }

for project in typescript-1.x typescript-2.x; do
  if up_to_date "$project/node_modules" "$project/package-lock.json"; then continue; fi
  (cd "$project" && npm ci --no-fund --no-audit --ignore-scripts --loglevel=error >/dev/null)
  cp "$project/package-lock.json" "$project/node_modules/.installed-from"
done

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=…)" >&2; exit 1; }
if ! up_to_date fastmcp/.venv fastmcp/requirements.txt; then
  rm -rf fastmcp/.venv
  "$python" -m venv fastmcp/.venv
  timeout 900 fastmcp/.venv/bin/pip install --quiet --disable-pip-version-check --no-input -r fastmcp/requirements.txt
  cp fastmcp/requirements.txt fastmcp/.venv/.installed-from
fi
