#!/usr/bin/env bash
# The Rust crate etcd-client's own live tests against a member at $1. Its source comes from the registry through cargo; the tests'
# fixed address is replaced. Tests of what this version does not serve are left out by name, below; nothing else is.
set -euo pipefail
version=0.21.1
url=${1#http://}
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/etcd-client
work=$target/source
rm -rf "$work"
mkdir -p "$work"

# A package that depends on the crate makes cargo fetch its source, and say where it is.
mkdir -p "$work/fetch/src"
echo 'fn main() {}' >"$work/fetch/src/main.rs"
cat >"$work/fetch/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
etcd-client = "=$version"
[workspace]
TOML
manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$work/fetch/Cargo.toml" |
    grep -o '"manifest_path":"[^"]*/etcd-client-'"$version"'/Cargo.toml"' | head -1 | cut -d'"' -f4)
cp -r "$(dirname "$manifest")" "$work/crate"
chmod -R u+w "$work/crate"
printf '\n[workspace]\n' >>"$work/crate/Cargo.toml"
sed -i "s/localhost:2379/$url/g" "$work/crate/tests/"*.rs

not_served=(
    test_auth test_role test_user                          # authentication (test_auth_* included)
)
skips=()
for name in "${not_served[@]}"; do skips+=(--skip "$name"); done
cd "$work/crate"
CARGO_TARGET_DIR=$target cargo test --quiet --test client --test namespace -- "${skips[@]}"
