#!/bin/sh
# Spreads a study over the tasks of a Slurm array, and reports when all have ended:
#
#     docs/slurm-array.sh STUDY.toml FOLDER SHARDS [options of sbatch for the shards, such as --gres=gpu:1 --time=4:00:00]
#
# STUDY.toml and FOLDER must be seen by all nodes under the same path. FFCL_GPU names the program if it is not on the path,
# FFCL_DATA_DIR the data's folder. Run it again with the same FOLDER to go on with what is missing.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: $0 STUDY.toml FOLDER SHARDS [options of sbatch]" >&2
    exit 2
fi
study=$(realpath "$1") folder=$(realpath -m "$2") shards=$3
shift 3
program=$(command -v "${FFCL_GPU:-ffcl-gpu}") || { echo "ffcl-gpu is not on the path; set FFCL_GPU" >&2; exit 2; }
program=$(realpath "$program")
# Bad files are refused here, not by every task.
"$program" study "$study" --out "$folder" --dry-run
mkdir -p "$folder"

# Paths reach the tasks as variables, so that they need no quoting.
export STUDY="$study" FOLDER="$folder" SHARDS="$shards" PROGRAM="$program"
array=$(sbatch --parsable --export=ALL --job-name=study --array="1-$shards" --output="$folder/shard-%a.log" --open-mode=append \
    --requeue "$@" <<'JOB'
#!/bin/sh
exec "$PROGRAM" study "$STUDY" --out "$FOLDER" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS"
JOB
)
# After any end of the shards, not only a good one: a report names the cells that are missing.
report=$(sbatch --parsable --export=ALL --job-name=report --dependency="afterany:$array" --output="$folder/report.log" <<'JOB'
#!/bin/sh
exec "$PROGRAM" study report "$FOLDER"
JOB
)
echo "shards: job $array, report: job $report, logs and results: $folder"
