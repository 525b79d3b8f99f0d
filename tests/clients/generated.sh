#!/usr/bin/env bash
# Clients that are generated from the /openapi.json of the member at $1, in TypeScript and in Python: both compile, and take a lock.
set -euo pipefail
. "$(dirname "$0")/tools.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export QUORATE=$1
curl -sf "$1/openapi.json" -o "$work/openapi.json"
# Two schemas of one name: the later one describes the answers of the other, and no client that is made of this can be right.
if ! tr -d ' \n' <"$work/openapi.json" | grep -q '"Standing":{[^}]*"held"'; then
    echo "openapi.json describes a claim's state as a candidate's (schema Standing): generated clients were not tried"
    exit 77
fi

mkdir "$work/typescript" && cd "$work/typescript"
ln -s "$tools/node/node_modules" node_modules
cp "$here/rest/lock.mts" .
node_modules/.bin/openapi-typescript "$work/openapi.json" --output api.d.ts >/dev/null
node_modules/.bin/tsc --strict --noUncheckedIndexedAccess --target es2022 --module nodenext --types node lock.mts
node lock.mjs

mkdir "$work/python" && cd "$work/python"
python=$tools/python-openapi/bin/python
"$tools/python-openapi/bin/openapi-python-client" generate --path "$work/openapi.json" --output-path generated --meta none
"$python" -m compileall -q generated
cp "$here/rest/lock.py" .
"$python" lock.py
