#!/usr/bin/env bash
# Kills a run at random instants (kill -9), lets it go on, and compares what it ends with to a run that nobody killed: the weights bit by
# bit, and every number of metrics.jsonl but the times. tests/cli/resume.rs does this at three chosen places; this is the long version.
#
#     tests/external/kill.sh 50 --device cpu            (after: cargo build --release)
set -euo pipefail
count=${1:?how many times}
shift
source "$(dirname "$0")/program.sh"
# Images that change in each epoch, so that every random number counts, a checkpoint after each epoch, and short evaluations.
run=("$program" train --limit-train 2560 --hold-out 256 --epochs 12 --replicas 2 --shift 1 --quiet --no-report "$@")

begin=$(date +%s%N)
"${run[@]}" --out "$folder/straight" 2> "$folder/errors"
length=$((($(date +%s%N) - begin) / 1000000))
numbers() { sed -E 's/,"seconds":[^,}]*,"samples_per_second":[^,}]*//' "$1/metrics.jsonl"; }

begun=0 inside=0 whole=0
for kill in $(seq "$count"); do
    out="$folder/killed"
    rm -rf "$out"
    "${run[@]}" --out "$out" 2>> "$folder/errors" &
    process=$!
    instant=$((RANDOM * length / 32767))
    sleep "$(printf '%d.%03d' $((instant / 1000)) $((instant % 1000)))"
    kill -9 "$process" 2> /dev/null || true
    wait "$process" 2> /dev/null || true
    # Killed before its record stood there, it is begun anew by the same command; else it goes on.
    if [ ! -e "$out/config.json" ]; then
        begun=$((begun + 1))
        "${run[@]}" --out "$out" 2>> "$folder/errors"
    else
        if [ -e "$out/model.safetensors" ]; then whole=$((whole + 1)); else inside=$((inside + 1)); fi
        "$program" train --resume "$out" --quiet 2>> "$folder/errors"
    fi
    cmp "$folder/straight/model.safetensors" "$out/model.safetensors" || { echo "kill $kill after $instant ms: other weights"; exit 1; }
    diff <(numbers "$folder/straight") <(numbers "$out") || { echo "kill $kill after $instant ms: other numbers"; exit 1; }
    [ -z "$(find "$out" -name '.*.part')" ] || { echo "kill $kill after $instant ms: a file is left unfinished"; exit 1; }
done
echo "$count kills within $length ms: $begun before the run had begun, $inside inside it, $whole after its end; always the same bits"
