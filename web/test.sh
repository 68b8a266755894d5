#!/usr/bin/env bash
# Opens web/dist in a real browser, without a screen or a GPU, and does what visitors do.
#
# FFCL_PROGRAM: the program, whose results the page's are compared with. CHROMIUM: the browser.
# Pictures of the page are left in web/shots.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f web/dist/index.html ] || web/build.sh
npm ci --prefix web --no-audit --no-fund --silent
export FFCL_PROGRAM="${FFCL_PROGRAM:-${CARGO_TARGET_DIR:-target}/release/ffcl-gpu}"
export CHROMIUM="${CHROMIUM:-$(command -v chromium)}"
exec node web/test/test.mjs "$@"
