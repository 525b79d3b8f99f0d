#!/usr/bin/env bash
# schemathesis tries every operation of /openapi.json on the member at $1, for SCHEMATHESIS_SECONDS: no answer may be a server error,
# and none may differ from its description. rest/schemathesis.toml says what is left out, and why.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
cd "$(mktemp -d)"
"$tools/python-openapi/bin/schemathesis" --config-file "$here/rest/schemathesis.toml" run "$1/openapi.json" \
    --max-time "${SCHEMATHESIS_SECONDS:-60}" --seed 1 --workers 2 --no-color 2>&1
