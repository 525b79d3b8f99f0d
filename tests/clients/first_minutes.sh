#!/usr/bin/env bash
# A new user's first five minutes, as the README tells them, against a member at $1.
set -euo pipefail
base=$1
work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null || true' EXIT

field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
json='content-type: application/json'

# A lock, with a session made on the way.
curl -sf -X PUT "$base/v1/locks/my-job/claims/new" -H "$json" -d '{"ttl":"30s"}' >"$work/held"
token=$(field token <"$work/held")
session=$(field session <"$work/held")
[ -n "$token" ] && [ -n "$session" ] || { cat "$work/held"; exit 1; }

# Another one finds it held.
status=$(curl -s -o "$work/busy" -w '%{http_code}' -X PUT "$base/v1/locks/my-job/claims/new" -H "$json" -d '{"ttl":"30s","enqueue":false}')
[ "$status" = 409 ] && grep -q lock-held "$work/busy" || { cat "$work/busy"; exit 1; }

# etcdctl sees the same key.
ETCDCTL_API=3 etcdctl --endpoints "$base" get --prefix /default/locks/my-job/ --keys-only >"$work/keys"
grep -q "^/default/locks/my-job/$session\$" "$work/keys"

# A watch over SSE, with a cursor in every event.
curl -sN "$base/v1/watch?prefix=greeting" >"$work/events" &
watcher=$!
for _ in $(seq 100); do grep -q '^event: snapshot' "$work/events" && break; sleep 0.05; done
ETCDCTL_API=3 etcdctl --endpoints "$base" put greeting hello >/dev/null
for _ in $(seq 100); do grep -q '"greeting"' "$work/events" && break; sleep 0.05; done
grep -q '"greeting"' "$work/events" && grep -q '^id: ' "$work/events" || { cat "$work/events"; exit 1; }

# Released by its token; a stale one is refused.
status=$(curl -s -o /dev/null -w '%{http_code}' -X DELETE "$base/v1/locks/my-job/claims/$session" -H 'If-Match: "1"')
[ "$status" = 412 ]
curl -sf -X DELETE "$base/v1/locks/my-job/claims/$session" -H "If-Match: \"$token\""

# The docs, offline; the document they show; health and metrics.
fetch() { curl -sfL "$base$1" >"$work/fetched"; }
fetch /docs && grep -qi swagger "$work/fetched"
fetch /openapi.json && grep -Eq '"openapi": ?"3\.1' "$work/fetched"
fetch /health && [ "$(cat "$work/fetched")" = '{"health":"true","reason":""}' ]
fetch /metrics && grep -q '^etcd_server_has_leader 1' "$work/fetched"
fetch /version && grep -q etcdserver "$work/fetched"
