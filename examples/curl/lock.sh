#!/usr/bin/env bash
# Runs a command while holding a lock: lock.sh NAME COMMAND...
# The command finds its fencing token in LOCK_TOKEN, and is ended when the lock is lost.
set -euo pipefail

base=${QUORATE:-http://127.0.0.1:2379}
name=${1:?lock.sh NAME COMMAND...}
shift
json='Content-Type: application/json'

# A field of a one-line JSON document that is text or a number.
field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"; }

session=$(curl -fsS -X POST "$base/v1/sessions" -H "$json" -d "{\"ttl\":\"10s\",\"name\":\"$(hostname)\"}" | field id)
claim=$base/v1/locks/$name/claims/$session
alive=; job=
finish() {
    kill ${alive:+"$alive"} ${job:+"$job"} 2>/dev/null || true
    curl -sS -X DELETE "$base/v1/sessions/$session" || true # its claims go with it
}
trap finish EXIT

# Signs of life. A third of the TTL between them leaves room for two that are lost; a session that is gone ends this script.
keep_alive() {
    while sleep 3; do
        status=$(curl -sS -m 3 -o /dev/null -w '%{http_code}' -X POST "$base/v1/sessions/$session/keepalive" || true)
        if [ "$status" = 404 ]; then
            echo "the lock is lost" >&2
            kill $$
        fi
    done
}
keep_alive &
alive=$!

# Waiting: 202 says that the wait ended and the place is kept, so ask again; 200 and 201 say that the lock is held.
while :; do
    answer=$(curl -fsS -w '\n%{http_code}' -X PUT "$claim" -H "$json" -d '{"wait":"30s"}')
    case ${answer##*$'\n'} in
    200 | 201) break ;;
    202) echo "waiting in place $(field position <<<"$answer" | head -n 1)" >&2 ;;
    esac
done

LOCK_TOKEN=$(head -n 1 <<<"$answer" | field token)
export LOCK_TOKEN
echo "holding $name with token $LOCK_TOKEN" >&2
"$@" &
job=$!
wait "$job"
