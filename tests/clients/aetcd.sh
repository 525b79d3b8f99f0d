#!/usr/bin/env bash
# The own tests of the Python package aetcd against a member at $1; python/aetcd.known names those left out. Its tests of
# authentication have a fixed address, which is replaced.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
address=${1#http://}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -r "$tools/sources/aetcd-1.0.0/tests" "$work/"
sed -i "s/username='root',/host='${address%:*}', port=${address#*:}, username='root',/" "$work/tests/integration/test_auth.py"
mapfile -t out < <(left_out "$here/python/aetcd.known")
cd "$work"
export TEST_ETCD_HTTP_URL=$1 PATH=$etcd35:$PATH
"$tools/python-clients/bin/python" -m pytest -q -o asyncio_mode=auto --timeout=60 --disable-warnings "${out[@]}" tests
