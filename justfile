# What people do here. `just` alone lists it. (https://just.systems)

_list:
    @just --list --unsorted

# Everything that must hold before a change lands
check:
    .ci/run

# The tests, or those whose names hold a word
test *WORDS:
    cargo test --locked --release {{ WORDS }}

# Parity of every kernel on an adapter
verify *OPTIONS="--device gpu":
    cargo run --locked --release -- verify {{ OPTIONS }}

# Throughput, as a table
bench *OPTIONS:
    cargo run --locked --release -- bench {{ OPTIONS }}

# Fuzz a reader of outside bytes (fuzz/README.md lists them)
fuzz TARGET SECONDS="600":
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{ TARGET }} fuzz/corpus/{{ TARGET }} fuzz/seeds/{{ TARGET }} -- -max_total_time={{ SECONDS }} -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=512

# The Python module: built, installed into a virtual environment, tested
python:
    python/check.sh

# Wheels of the program and of the Python module, in target/wheels
wheel:
    maturin build --release --locked
    maturin build --release --locked --manifest-path python/Cargo.toml

# The page that trains in the browser, in web/dist
page:
    web/build.sh

# The book, in target/book (needs mdBook)
book:
    docs/build.sh
