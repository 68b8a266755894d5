#!/usr/bin/env bash
# A long run with a checkpoint after each epoch: does it grow, in memory or in time? Prints the resident memory and the seconds of an
# epoch in tenths of the run (medians), and their change from the second tenth to the last; the first one still warms up. Fails where
# memory grew by more than 3 %; time is only shown, since other programs change it too.
#
#     tests/external/soak.sh 200 --device cpu --dataset mnist            (after: cargo build --release; Linux)
set -euo pipefail
epochs=${1:?how many epochs}
shift
source "$(dirname "$0")/program.sh"
mkfifo "$folder/lines"
"$program" train --epochs "$epochs" --json --out "$folder/run" "$@" > "$folder/lines" &
process=$!
while read -r line; do
    memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2> /dev/null || true)
    seconds=$(sed -E 's/.*"seconds":([^,}]*).*/\1/' <<< "$line")
    [ -z "$memory" ] || echo "$memory $seconds"
done < "$folder/lines" > "$folder/samples"
wait "$process"
awk -v epochs="$epochs" '
    function median(list, length_,    i, j, swap) {
        for (i = 1; i < length_; i++) for (j = i + 1; j <= length_; j++) if (list[j] < list[i]) { swap = list[i]; list[i] = list[j]; list[j] = swap }
        return list[int((length_ + 1) / 2)]
    }
    { memory[NR] = $1; seconds[NR] = $2 }
    END {
        tenth = int(NR / 10)
        printf "%14s %12s %16s\n", "epochs", "memory MiB", "seconds an epoch"
        for (part = 0; part < 10; part++) {
            for (i = 1; i <= tenth; i++) { one[i] = memory[part * tenth + i]; other[i] = seconds[part * tenth + i] }
            m[part] = median(one, tenth) / 1024; s[part] = median(other, tenth)
            printf "%6d to %5d %12.1f %16.3f\n", part * tenth + 1, (part + 1) * tenth, m[part], s[part]
        }
        printf "from the second tenth to the last: memory %+.1f %%, time %+.1f %%\n", 100 * (m[9] / m[1] - 1), 100 * (s[9] / s[1] - 1)
        exit tenth < 1 || m[9] > 1.03 * m[1]
    }' "$folder/samples"
