#!/bin/sh
# fuzz_replay.sh BUILD - replays each fuzz target's corpus, then RUNS (100,000) inputs mutated from it with a fixed seed, under ASan and UBSan.
# A finding leaves its input in BUILD/findings and fails. Prints "N of N".
set -eu
build=$1
runs=${RUNS:-100000}
mkdir -p "$build/findings"
good=0
all=0
for target in "$build"/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    corpus=fuzz/corpus/$name
    all=$((all + 1))
    scratch=$build/scratch/$name
    rm -rf "$scratch"
    mkdir -p "$scratch"
    if "$target" -runs="$runs" -seed=20261124 -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -artifact_prefix="$build/findings/$name-" "$scratch" "$corpus" >"$scratch.log" 2>&1; then
        echo "$name: $(ls "$corpus" | wc -l) corpus files and $runs mutated inputs without a finding"
        good=$((good + 1))
    else
        tail -40 "$scratch.log"
        echo "$name: FINDING, input in $build/findings"
    fi
done
echo "fuzz: $good of $all targets clean"
[ "$good" = "$all" ] && [ "$all" -gt 0 ]
