# Sourced by other scripts: $program is the release build, $folder a temporary folder that goes with the script.
target=${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/target}
program=$target/release/ffcl-gpu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
