#!/bin/sh
# fuzz_campaign.sh BUILD SECONDS [TARGET...] - fuzzes each target for so long, two at a time on two cores; new inputs stay in BUILD/scratch.
set -eu
build=$1
seconds=$2
shift 2
mkdir -p "$build/findings" "$build/scratch"
[ $# -gt 0 ] || set -- $(cd "$build" && ls -d fuzz_* | grep -v '\.')
clean=0
for name in "$@"; do
    mkdir -p "$build/scratch/$name"
    if "$build/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -artifact_prefix="$build/findings/$name-" "$build/scratch/$name" "fuzz/corpus/$name" >"$build/scratch/$name.log" 2>&1; then
        echo "$name: $(awk '/stat::number_of_executed_units/ {print $2} /^#[0-9]+.*DONE/ {sub("#","",$1); print $1}' "$build/scratch/$name.log" | tail -1) inputs in $seconds s without a finding"
        clean=$((clean + 1))
    else
        tail -40 "$build/scratch/$name.log"
        echo "$name: FINDING, input in $build/findings"
    fi
done
echo "fuzz: $clean of $# targets clean"
[ "$clean" = "$#" ]
