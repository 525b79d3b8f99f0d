#!/usr/bin/env bash
# What etcdctl (Debian's, 3.4) says to a member at $1: put, get, del, txn, watch, lease, compaction.
set -euo pipefail
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() { # what is expected, command...
    local expected=$1 got
    shift
    got=$("$@" 2>&1) || true
    [ "$got" = "$expected" ] || { printf '%s\n  said     %s\n  expected %s\n' "$*" "$got" "$expected"; exit 1; }
}
expect_in() { # a part of what is expected, command...
    local expected=$1 got
    shift
    got=$("$@" 2>&1) || true
    case $got in *"$expected"*) ;; *) printf '%s\n  said %s\n  without %s\n' "$*" "$got" "$expected"; exit 1 ;; esac
}

expect OK etcdctl put foo bar
expect $'foo\nbar' etcdctl get foo
expect bar etcdctl get foo --print-value-only
expect $'OK\nfoo\nbar' etcdctl put foo bar2 --prev-kv
expect OK etcdctl put fop 1
expect $'foo\nbar2\nfop\n1' etcdctl get --prefix fo
expect $'foo\nbar2' etcdctl get --prefix fo --limit 1
expect $'fop\n\nfoo' etcdctl get --prefix fo --keys-only --order DESCEND
expect $'foo\nbar' etcdctl get foo --rev 2
expect_in '"count":2' etcdctl get --prefix fo --write-out json
expect $'1\nfop\n1' etcdctl del fop --prev-kv
expect 0 etcdctl del fop
expect_in 'required revision is a future revision' etcdctl get foo --rev 1000

txn() { printf 'value("foo") = "bar2"\n\nput t yes\nget foo\n\nput t no\n\n' | etcdctl txn; }
expect $'SUCCESS\n\nOK\n\nfoo\nbar2' txn
twice() { printf 'create("new") = "0"\n\nput new 1\nput new 2\n\n\n' | etcdctl txn; }
expect_in 'duplicate key given in txn request' twice

lease=$(etcdctl lease grant 300 | sed -n 's/^lease \([0-9a-f]*\) granted with TTL(300s)$/\1/p')
[ -n "$lease" ]
expect OK etcdctl put --lease="$lease" leased v
expect_in "lease $lease granted with TTL(300s), remaining(" etcdctl lease timetolive "$lease" --keys
expect_in 'attached keys([leased])' etcdctl lease timetolive "$lease" --keys
expect_in "$lease" etcdctl lease list
expect "lease $lease keepalived with TTL(300)" etcdctl lease keep-alive --once "$lease"
expect "lease $lease revoked" etcdctl lease revoke "$lease"
expect "" etcdctl get leased
expect_in 'requested lease not found' etcdctl lease revoke "$lease"

# A watch from the past has it all at once; etcdctl is ended when it has printed what is expected.
etcdctl watch foo --rev 2 --prev-kv >"$work/watch" 2>&1 &
watcher=$!
etcdctl put foo bar3 >/dev/null
for _ in $(seq 100); do
    grep -q bar3 "$work/watch" && break
    sleep 0.05
done
kill "$watcher" && wait "$watcher" 2>/dev/null || true
[ "$(cat "$work/watch")" = $'PUT\nfoo\nbar\nPUT\nfoo\nbar\nfoo\nbar2\nPUT\nfoo\nbar2\nfoo\nbar3' ] || { cat "$work/watch"; exit 1; }

# For these, etcdctl 3.4 sends the endpoint as it is written as the authority of its requests; with a scheme in it, that is no
# authority, and the HTTP/2 library refuses it (README, "Known differences").
expect_in '"revision":' env ETCDCTL_ENDPOINTS="${1#http://}" etcdctl endpoint status --write-out json
expect_in '"hash":' env ETCDCTL_ENDPOINTS="${1#http://}" etcdctl endpoint hashkv --write-out json
expect_in 'is healthy' etcdctl endpoint health
expect_in 'started' etcdctl member list
revision=$(etcdctl get foo --write-out json | sed 's/.*"revision":\([0-9]*\).*/\1/')
expect "compacted revision $revision" etcdctl compaction "$revision"
expect_in 'required revision has been compacted' etcdctl get foo --rev 2
expect_in 'required revision has been compacted' etcdctl compaction 2
expect_in 'watch was canceled (etcdserver: mvcc: required revision has been compacted)' timeout 10 etcdctl watch foo --rev 2

# The lock of etcdctl, and nobody else, while it runs.
expect_in 'held' etcdctl lock /locks/e echo held

# The election of etcdctl, seen and joined over REST: who resigns is followed by who waits, whichever way they came.
leader() { curl -s "$1/v1/elections/e" | sed -n 's/.*"leader":{[^}]*"value":"\([^"]*\)".*/\1/p'; }
until_leads() { # url, value
    for _ in $(seq 200); do
        [ "$(leader "$1")" = "$2" ] && return
        sleep 0.05
    done
    curl -s "$1/v1/elections/e"
    exit 1
}
etcdctl elect /default/elections/e theirs >/dev/null 2>&1 &
candidate=$!
until_leads "$1" theirs
expect 202 curl -s -o /dev/null -w '%{http_code}' -X PUT "$1/v1/elections/e/candidates/new" \
    -H 'content-type: application/json' -d '{"value":"ours","ttl":"60s"}'
kill "$candidate" && wait "$candidate" 2>/dev/null || true
until_leads "$1" ours
