#!/usr/bin/env bash
# The docs page of a member at $1 in a real browser: node/docs_page.mjs.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
QUORATE=$1 NODE_PACKAGES=$tools/node exec node "$here/node/docs_page.mjs"
