#!/usr/bin/env bash
# libFuzzer over each target for so many seconds (60). Corpus, finds and logs are kept in target/fuzz.

set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
kept=${CARGO_TARGET_DIR:-target}/fuzz

stop() {
    echo "fuzz: $*" >&2
    exit 1
}

[[ $seconds =~ ^[1-9][0-9]*$ ]] || stop "\"$seconds\" is no number of seconds"
command -v "${CXX:-c++}" >/dev/null || stop "a C++ compiler is missing, which builds libFuzzer (g++ or clang)"
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "==> cargo-fuzz is missing: installing it (some minutes, once)"
    cargo install --locked cargo-fuzz || stop "cargo-fuzz is missing: cargo install --locked cargo-fuzz"
fi

echo "==> building the targets (first time: some minutes, mostly SQL grammar)"
cp Cargo.lock tests/fuzz/Cargo.lock # the same versions; cargo adds libFuzzer's
# libFuzzer's instrumentation is unstable; the rest of the compiler is the stable one.
RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --target-dir "$kept/build" ||
    stop "the targets do not build"

broken=0
for target in frontend backend startup sql; do
    echo "==> $target: $seconds s"
    program=$(echo "$kept"/build/*/release/"$target")
    found=$kept/found/$target
    mkdir -p "$kept/corpus/$target" "$found"
    # What an earlier run found and is mended since.
    for find in "$found"/*; do
        [ ! -f "$find" ] || ! "$program" -timeout=10 "$find" >/dev/null 2>&1 || rm "$find"
    done
    "$program" "$kept/corpus/$target" \
        -max_total_time="$seconds" -artifact_prefix="$found/" \
        -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -max_len=4096 -print_final_stats=1 \
        >"$kept/$target.log" 2>&1 || broken=1
    grep -E '^#.*(INITED|DONE)|^stat::(number_of_executed_units|average|peak)' "$kept/$target.log" || true
    if [ -n "$(ls "$found")" ]; then
        broken=1
        tail -n 40 "$kept/$target.log"
        ls "$found"/*
    fi
done
if [ "$broken" = 1 ]; then
    stop "a law is broken: run $kept/build/*/release/TARGET with a file in $kept/found, mend it, and put the" \
        "file into tests/fuzz/corpus (the logs are $kept/*.log)"
fi
echo "No law was broken; the corpus is in $kept/corpus."
