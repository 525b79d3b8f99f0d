#!/usr/bin/env bash
# What etcdctl.sh has, with etcdctl 3.5.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
PATH=$etcd35:$PATH exec "$here/etcdctl.sh" "$1"
