#!/usr/bin/env bash
# Draws the ten digits with ImageMagick, in many fonts, colours, sizes and places, asks `ffcl-gpu predict` what they are, and counts.
# Fails where fewer than 85 % are right.
#
#     apt-get install -y imagemagick fonts-dejavu fonts-liberation fonts-freefont-ttf
#     cargo run --release -- train --dataset mnist --data-dir DIR --epochs 10 --out runs/drawn
#     tests/external/drawn_digits.sh target/release/ffcl-gpu runs/drawn
#
# A third argument names a folder that keeps the pictures; what stands behind it goes to `predict`.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 PROGRAM MODEL [FOLDER [OPTION…]]" >&2; exit 2; }
program=$1 model=$2 folder=${3:-$(mktemp -d)}
[ $# -ge 3 ] || trap 'rm -r "$folder"' EXIT
mkdir -p "$folder"

fonts=(DejaVu-Sans DejaVu-Sans-Bold DejaVu-Serif DejaVu-Sans-Mono DejaVu-Sans-Oblique Liberation-Sans Liberation-Sans-Bold
    Liberation-Sans-Italic Liberation-Serif Liberation-Serif-Italic Liberation-Mono Liberation-Mono-Bold FreeSans FreeSans-Bold
    FreeSerif FreeMono-Bold)
# Picture, height of the font, place, paper, pen.
settings=("300x400 180 +40-90 white black" "300x400 150 -60+110 #f4efe1 #1c2f8c" "400x300 200 +90+20 #202020 #f0f0f0"
    "640x480 260 -150-60 #ffe066 #a3102b" "200x200 120 +20+15 #0b3d2e #ffd23f" "1200x900 300 +300+200 #d8d8d8 #404040"
    "120x160 60 +25-40 #cfe8ff #003366" "28x28 24 +0+0 black white")

for position in "${!fonts[@]}"; do
    for digit in {0..9}; do
        # Every font meets every setting.
        read -r size points place paper pen <<<"${settings[(position + digit) % ${#settings[@]}]}"
        convert -size "$size" "xc:$paper" -font "${fonts[position]}" -pointsize "$points" -fill "$pen" -gravity center \
            -annotate "$place" "$digit" "$folder/$digit-${fonts[position]}.png"
    done
done

"$program" predict "$model" "$folder"/*.png --device cpu --json "${@:4}" | sed 's/.*"file":"\([^"]*\)".*"label":"\([^"]*\)".*"probability":\([0-9.e-]*\),"top".*/\1 \2 \3/' |
    awk '{
        name = $1; sub(/.*\//, "", name); all++
        if (substr(name, 1, 1) == $2) right++; else printf "%s was taken for %s (%.0f %%)\n", name, $2, 100 * $3
    } END { printf "%d of %d right\n", right, all; exit all == 0 || right < 0.85 * all }'
