#!/usr/bin/env bash
# Counts up a key without losing a count, however many do it at once: kv.sh [KEY] [TIMES]
# The condition travels with the write: it is checked where the write is decided, not before.
set -euo pipefail

base=${QUORATE:-http://127.0.0.1:2379}
key=$base/v1/kv/${1:-examples/counter}
times=${2:-5}
head=$(mktemp)
trap 'rm -f "$head"' EXIT

header() { sed -n "s/^$1: //Ip" "$head" | tr -d '\r'; }

# Adds one, and prints the status: 200 or 201 when it was written, 412 when somebody else was faster.
add_one() {
    local value=0 condition='If-None-Match: *' answer
    answer=$(curl -sS -D "$head" -w '\n%{http_code}' "$key")
    if [ "${answer##*$'\n'}" = 200 ]; then
        value=${answer%$'\n'*} condition="If-Match: $(header etag)"
    fi
    curl -sS -o /dev/null -w '%{http_code}' -X PUT "$key" -H "$condition" --data-binary "$((value + 1))"
}

for ((done = 0; done < times; )); do
    status=$(add_one)
    case $status in
    200 | 201) done=$((done + 1)) ;;
    412) ;;
    *) echo "status $status" >&2 && exit 1 ;;
    esac
done

# The value as it is stored, and as a document that says when it was written.
curl -fsS "$key" && echo
curl -fsS -H 'Accept: application/json' "$key" && echo
