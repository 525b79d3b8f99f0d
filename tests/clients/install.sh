#!/usr/bin/env bash
# Installs what the tests need beyond Rust: from Debian's packages etcd and etcdctl, protoc for the etcd-client crate, curl, OpenSSL,
# Python, Node.js and a browser; from Python's and Node's registries the clients, at the versions that the lists beside this file pin. What
# is there is kept; what changed in a list is installed anew. Go is not installed: where it is missing, run.sh says what was skipped.
set -euo pipefail
. "$(dirname "$0")/tools.sh"

missing=()
need() { command -v "$1" >/dev/null || missing+=("${@:2}"); }
need etcd etcd-server
need etcdctl etcd-client
need protoc protobuf-compiler
need curl curl
need openssl openssl
need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
need npm nodejs npm
need chromium chromium
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    # The packages start an etcd of their own where they can; the tests start what they need.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq "${missing[@]}" >/dev/null
fi

# An environment of Python's with what python/NAME.txt lists.
python_environment() { # NAME
    local list=$here/python/$1.txt into=$tools/python-$1
    ! cmp -s "$list" "$into/installed.txt" || return 0
    echo "installing what python/$1.txt lists"
    rm -rf "$into"
    python3 -m venv "$into"
    "$into/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
    cp "$list" "$into/installed.txt"
}

# The sources of a Python package, which hold the tests that its installed form leaves out.
python_sources() { # NAME VERSION
    local into=$tools/sources/$1-$2
    [ ! -d "$into" ] || return 0
    mkdir -p "$tools/sources"
    "$tools/python-clients/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary "$1" \
        --dest "$tools/sources" "$1==$2"
    tar -xzf "$into.tar.gz" -C "$tools/sources"
}

node_packages() {
    local into=$tools/node
    ! cmp -s "$here/node/package-lock.json" "$into/installed.json" || return 0
    echo "installing what node/package.json lists"
    mkdir -p "$into"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$into/"
    npm ci --prefix "$into" --silent --ignore-scripts --no-audit --no-fund
    cp "$here/node/package-lock.json" "$into/installed.json"
}

python_environment clients
python_environment etcd3
python_environment openapi
python_sources aetcd 1.0.0
python_sources etcd3 0.12.0
node_packages
