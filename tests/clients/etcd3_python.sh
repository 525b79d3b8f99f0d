#!/usr/bin/env bash
# The own tests of the Python package etcd3 against a member at $1; python/etcd3.known names those left out. Its fixed address is
# replaced, and its random tests, which start etcdctl for every step, take ten examples that are the same every time.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
address=${1#http://}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -r "$tools/sources/etcd3-0.12.0/tests" "$work/"
sed -i -e "s/etcd3\.client()/etcd3.client(host='${address%:*}', port=${address#*:})/" \
    -e 's/register_profile("default", /&max_examples=10, derandomize=True, /' "$work/tests/test_etcd3.py"
mapfile -t out < <(left_out "$here/python/etcd3.known")
cd "$work"
export PYTHON_ETCD_HTTP_URL=$1 TEST_ETCD_VERSION=v3.5.1 PATH=$etcd35:$PATH
"$tools/python-etcd3/bin/python" -m pytest -q --timeout=60 --disable-warnings "${out[@]}" tests
