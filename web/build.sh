#!/usr/bin/env bash
# Builds the page into web/dist, a folder that any static server serves. Takes the rustup target wasm32-unknown-unknown where it is
# installed; else Debian's packages of Rust for the web, which it installs where it may.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
# The host's tools are built by another compiler than the program's may be, so the folder is another.
folder="${CARGO_TARGET_DIR:-target}/page"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
build=(build --locked --release --package ffcl-gpu-web --target "$target")

install() {
    if [ "$(id -u)" = 0 ]; then sudo=(); else sudo=(sudo); fi
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

command -v npm >/dev/null || install npm

compile() {
    # Nothing of a page's code is looked into by a debugger, and every browser with WebGPU has these vectors.
    CARGO_TARGET_DIR="$folder" CARGO_PROFILE_RELEASE_DEBUG=false RUSTFLAGS="-C target-feature=+simd128" "$@"
}

if [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; then
    compile cargo "${build[@]}"
else
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/wasm-ld-19 ] && [ -d /usr/lib/rustlib/src/rust/library ] || install rustc-web cargo-web rust-web-src lld-19
    # Debian ships the target without its standard library, but with the sources of it.
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=/usr/bin/wasm-ld-19 \
        compile cargo "${build[@]}" -Zbuild-std=std,panic_abort
fi

# The glue between WebAssembly and JavaScript must be of the very version that the code was built with.
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
bindgen=wasm-bindgen
if [ "$($bindgen --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
    bindgen="$folder/tools/bin/wasm-bindgen"
    [ "$($bindgen --version 2>/dev/null)" = "wasm-bindgen $version" ] ||
        CARGO_TARGET_DIR="$folder" cargo install wasm-bindgen-cli --version "$version" --root "$folder/tools" --quiet
fi

npm ci --prefix web --omit=dev --no-audit --no-fund --silent
rm -rf web/dist
mkdir web/dist
"$bindgen" --target web --no-typescript --out-dir web/dist "$folder/$target/release/ffcl_gpu_web.wasm"
cp web/page/* web/node_modules/uplot/dist/uPlot.esm.js web/node_modules/uplot/dist/uPlot.min.css web/dist/
cp web/node_modules/fflate/esm/browser.js web/dist/fflate.js

# What a visitor downloads: servers compress it.
bytes=$(gzip -9 --stdout web/dist/ffcl_gpu_web_bg.wasm | wc -c)
echo "web/dist: the engine is $bytes bytes, compressed by gzip"
[ "$bytes" -le 3145728 ] || { echo "that is above 3 MiB" >&2; exit 1; }
