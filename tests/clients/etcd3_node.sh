#!/usr/bin/env bash
# The npm package etcd3 against a member at $1: node/etcd3.test.mjs.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
QUORATE=$1 NODE_PACKAGES=$tools/node node --test "$here/node/etcd3.test.mjs"
