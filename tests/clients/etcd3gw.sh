#!/usr/bin/env bash
# The own tests of the Python package etcd3gw, which speaks JSON, against a member at $1.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
cd "$(mktemp -d)"
export TOOZ_TEST_HTTP_URL=$1 TOOZ_TEST_ETCD_PORT=${1##*:}
"$tools/python-clients/bin/python" -m pytest -q --timeout=60 --disable-warnings -p no:cacheprovider --pyargs etcd3gw.tests
