#!/usr/bin/env bash
# The Go client and its concurrency package against a member at $1: go/. Skipped where there is no Go.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
command -v go >/dev/null || { echo "no go on this machine: the Go client was not tried"; exit 77; }
cd "$here/go"
QUORATE=$1 go test -count=1 ./...
