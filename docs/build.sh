#!/usr/bin/env bash
# Builds the book with mdBook:
#
#     docs/build.sh [FOLDER]           (default: target/book)
#
# In the repository, chapters link to files outside of docs/. Where REPOSITORY is set (https://github.com/OWNER/NAME), those links of the
# built book lead there.
set -euo pipefail
folder=$(realpath -m "${1:-$(dirname "$0")/../target/book}")
cd "$(dirname "$0")"
copy=$(mktemp -d)
trap 'rm -r "$copy"' EXIT
cp -r . "$copy/docs"
if [ -n "${REPOSITORY:-}" ]; then
    sed -i "s#](\.\./\.\./#]($REPOSITORY/blob/main/#g" "$copy"/docs/*/*.md
    sed -i "s#](\.\./#]($REPOSITORY/blob/main/#g" "$copy"/docs/*.md
fi
mdbook build --dest-dir "$folder" "$copy/docs"
