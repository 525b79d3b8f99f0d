#!/usr/bin/env bash
# The Python package etcd3gw's own tests, which speak nothing but the JSON gateway, against a member at $1. All of them must pass.
set -euo pipefail
version=2.7.0
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${CARGO_TARGET_DIR:-$root/target}/etcd3gw-$version
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import etcd3gw, oslotest' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "etcd3gw==$version" oslotest
fi
export TOOZ_TEST_HTTP_URL=$1 TOOZ_TEST_ETCD_PORT=${1##*:}
timeout 300 "$venv/bin/python" -m unittest etcd3gw.tests.test_etcd3gw etcd3gw.tests.test_client
