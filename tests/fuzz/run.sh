#!/usr/bin/env bash
# libFuzzer over each target for so many seconds (60). Corpus and finds are kept in target/fuzz.

set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
kept=${CARGO_TARGET_DIR:-target}/fuzz

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "==> cargo-fuzz is missing: installing it (some minutes, once)"
    cargo install --locked cargo-fuzz
fi

echo "==> building the targets (first time: some minutes, mostly SQL grammar)"
cp Cargo.lock tests/fuzz/Cargo.lock # the same versions; cargo adds libFuzzer's
# libFuzzer's instrumentation is unstable; the rest of the compiler is the stable one.
RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --target-dir "$kept/build"

failed=0
for target in frontend backend startup sql; do
    echo "==> $target: $seconds s"
    mkdir -p "$kept/corpus/$target" "$kept/found/$target"
    "$kept"/build/*/release/"$target" "$kept/corpus/$target" \
        -max_total_time="$seconds" -artifact_prefix="$kept/found/$target/" \
        -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -max_len=4096 -print_final_stats=1 \
        2>&1 | grep -E '^#.*(pulse|INITED|DONE)|^stat::|panicked|law|ERROR|SUMMARY|Test unit' || failed=1
done
finds=$(find "$kept/found" -type f)
if [ -n "$finds" ] || [ "$failed" = 1 ]; then
    echo "A law is broken: run a target with the file that broke it, and put it into tests/fuzz/corpus."
    echo "$finds"
    exit 1
fi
echo "No law was broken; the corpus is in $kept/corpus."
