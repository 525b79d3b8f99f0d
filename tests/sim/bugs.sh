#!/usr/bin/env bash
# Runs the simulation against every mistake that the code can be built to make, and says which seed found it. Each must be found.
# SEEDS is how many are tried. Results are kept in docs/reliability.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

seeds=${SEEDS:-2000}
export RUSTFLAGS="--cfg tokio_unstable --cfg seeded_bugs" CARGO_TARGET_DIR=target/bugs CARGO_PROFILE_DEV_OPT_LEVEL=1
export RUST_BACKTRACE=0 QUORATE_SIM_SEEDS=$seeds
cargo=${CARGO:-cargo}
"$cargo" test --test sim --no-run --quiet

missed=0
while read -r bug; do
    if output=$(QUORATE_BUG=$bug "$cargo" test --quiet --test sim no_seed -- --nocapture 2>/dev/null); then
        printf '%-45s not found in %s seeds\n' "$bug" "$seeds"
        missed=1
    else
        found=$(grep -A1 -m1 'breaks promises' <<<"$output" | tr -d '\n' | sed 's/ breaks promises:  */: /')
        printf '%-45s %s\n' "$bug" "$found"
    fi
done < <(grep -rhoE 'seeded_bug\("[^"]+"\)' src --include=*.rs | sed 's/.*("\(.*\)")/\1/' | sort -u)
exit $missed
