#!/usr/bin/env bash
# The own tests of the Python package tooz with its driver for etcd3gw, against a member at $1. It skips by itself what that driver
# does not have.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
cd "$(mktemp -d)"
export TOOZ_TEST_URL="etcd3+$1?api_version=v3"
"$tools/python-clients/bin/python" -m pytest -q --timeout=60 --disable-warnings -p no:cacheprovider \
    --pyargs tooz.tests.test_coordination tooz.tests.drivers.test_etcd3gw
