#!/usr/bin/env bash
# The map at the end of ARCHITECTURE.md: each module of src/, each folder of modules, each further crate, with the first sentence of its
# own documentation.
#
#     docs/map.sh              writes the map anew
#     docs/map.sh --check      fails where it is not up to date
#     docs/map.sh src/dataset  prints every file of a folder
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
begin='<!-- the map: docs/map.sh -->'

# The first sentence of the `//!` lines that a file begins with.
sentence() {
    awk '!/^\/\/!./ { exit } { text = text substr($0, 4) }
         END { if (match(text, /[.] [A-Z`]/)) text = substr(text, 1, RSTART); print substr(text, 2) }' "$1"
}

# A module that is a folder is named by its folder.
row() {
    local place=${1%/mod.rs}
    [ -d "${place%.rs}" ] && place=${place%.rs}/
    echo "| \`$place\` | $(sentence "$1") |"
}

map() {
    printf '%s\n\n| place | what |\n|---|---|\n' "$begin"
    for file in $(find src -name '*.rs' ! -path '*/tests/*') */src/lib.rs; do
        case "$file" in
            src/*/mod.rs | */src/lib.rs) ;;
            src/*/*) [ -n "$(find "${file%.rs}" -name '*.rs' ! -name tests.rs 2>/dev/null)" ] || continue ;;
        esac
        row "$file"
    done | sort
}

if [ -d "${1:-}" ]; then
    for file in $(find "$1" -name '*.rs'); do row "$file"; done | sort
    exit
fi
new=$(sed "\\|^$begin|,\$d" ARCHITECTURE.md; map)
if [ "${1:-}" = --check ]; then
    diff <(echo "$new") ARCHITECTURE.md || { echo "ARCHITECTURE.md: the map is not up to date; run docs/map.sh" >&2; exit 1; }
else
    echo "$new" > ARCHITECTURE.md
fi
