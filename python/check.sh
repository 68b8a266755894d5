#!/usr/bin/env bash
# The Python module in a clean virtual environment: builds it, and runs its tests. From a fresh clone: python/check.sh
# The environment stays in VENV (default: target/python-venv) for whoever needs its packages.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR
venv="${VENV:-$CARGO_TARGET_DIR/python-venv}"

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# The extension is built as the rest is, in the same folder, so that dependencies of both are built once.
"$venv/bin/pip" install --quiet --disable-pip-version-check "./python[test]"

# The program that its results are compared with, where one has been built.
if [ -z "${FFCL_PROGRAM:-}" ] && [ -x "$CARGO_TARGET_DIR/release/ffcl-gpu" ]; then
    export FFCL_PROGRAM="$CARGO_TARGET_DIR/release/ffcl-gpu"
fi
[ -z "${FFCL_DATA_DIR:-}" ] || FFCL_DATA_DIR=$(realpath "$FFCL_DATA_DIR")
# Outside of python/, where the package without its extension would be found first.
cd python/tests
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$@"
