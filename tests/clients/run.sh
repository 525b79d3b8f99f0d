#!/usr/bin/env bash
# Real clients against real members, each suite on a member of its own, a few at once: run.sh [SUITE...]
# Prints a line a suite with its seconds, what a failed one said, and a closing count. QUORATE_CLIENTS_OF=etcd runs the same on etcd
# 3.5.1, to see whether a failure is ours; suites of what only Quorate has are skipped then.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/clients/tools.sh

# name | what is run, with the member's URL (or, after "!", with the program, which starts its own) | what it is. Long ones first.
suites='
aetcd        | aetcd.sh             | aetcd (Python), its own tests
etcd3-python | etcd3_python.sh      | etcd3 (Python), its own tests
tooz         | tooz.sh              | tooz (Python) on etcd3gw, its own tests
cluster      | !cluster.sh          | etcdctl and a cluster, as in the README
schemathesis | @schemathesis.sh     | schemathesis over /openapi.json
etcd-client  | etcd_client.sh       | etcd-client (Rust), its own tests
etcd3gw      | etcd3gw.sh           | etcd3gw (Python), its own tests
go           | go.sh                | client v3 and concurrency (Go)
generated    | @generated.sh        | generated clients (TypeScript, Python)
docs-page    | @docs_page.sh        | the docs page in Chromium
etcd3-node   | etcd3_node.sh        | etcd3 (npm)
tls          | !tls.sh              | etcdctl and curl over TLS
etcdctl      | etcdctl.sh           | etcdctl 3.4
auth         | auth.sh              | etcdctl 3.4, users and roles
etcdctl-3.5  | etcdctl_35.sh        | etcdctl 3.5
readme       | @first_minutes.sh    | curl, as in the README
examples     | @examples.sh         | examples/
'
at_once=3
of=${QUORATE_CLIENTS_OF:-quorate}
work=$(mktemp -d)
trap 'wait; rm -rf "$work"' EXIT

cargo build --quiet
binary=${CARGO_TARGET_DIR:-target}/debug/quorate

# Starts a member of "$of" on a fresh directory; sets $server and $url.
start() { # directory
    if [ "$of" = etcd ]; then
        local first=$((20000 + RANDOM % 4000 * 2))
        url=http://127.0.0.1:$first
        "$etcd35/etcd" --data-dir "$1/data" --listen-client-urls "$url" --advertise-client-urls "$url" --log-level error \
            --listen-peer-urls "http://127.0.0.1:$((first + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((first + 1))" \
            --initial-cluster "default=http://127.0.0.1:$((first + 1))" >"$1/out" 2>"$1/log" &
    else
        "$binary" --data-dir "$1/data" --listen-client-urls http://127.0.0.1:0 >"$1/out" 2>"$1/log" &
    fi
    server=$!
    for _ in $(seq 400); do
        [ "$of" = etcd ] || url=$(sed -n 's/^Quorate .* serves \(http[^ ,]*\).*/\1/p' "$1/out")
        [ -z "$url" ] || ! curl -sf "$url/health" >/dev/null || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$1/log"
    echo "the member did not start"
    return 1
}

# Runs one suite; what it says, and its verdict (ok, FAILED, SKIPPED), become files. Exit status 77 skips, with the reason said last.
suite() { # name command
    local name=$1 command=$2 server='' url='' verdict=ok status=0 began=$SECONDS
    local own=$work/$name
    mkdir "$own"
    case $of$command in
    *!*) timeout 300 "tests/clients/${command#!}" "$binary" >"$own/said" 2>&1 || status=$? ;;
    etcd@*) echo "only Quorate has this" >"$own/said" && status=77 ;;
    *)
        start "$own" >"$own/said" 2>&1 && timeout 300 "tests/clients/${command#@}" "$url" >>"$own/said" 2>&1 || status=$?
        [ -z "$server" ] || kill "$server" 2>/dev/null || true
        [ -z "$server" ] || wait "$server" || [ "$of" = etcd ] || { echo "the member did not end cleanly" >>"$own/said"; status=1; }
        ;;
    esac
    case $status in 0) ;; 77) verdict=SKIPPED ;; *) verdict=FAILED ;; esac
    echo $((SECONDS - began)) >"$own/seconds"
    echo "$verdict" >"$own/verdict"
}

report() { # name title
    local verdict said=$work/$1/said
    verdict=$(cat "$work/$1/verdict")
    printf '%-8s %s (%s s)\n' "$verdict" "$2" "$(cat "$work/$1/seconds")"
    case $verdict in
    FAILED) sed 's/^/         /' "$said" | tail -n 200 ;;
    SKIPPED) tail -n 1 "$said" | sed 's/^/         /' ;;
    esac
}

asked=" $* "
names=() titles=()
while IFS='|' read -r name command title; do
    read -r name command <<<"$name $command"
    [ -n "$name" ] || continue
    [ $# = 0 ] || case $asked in *" $name "*) ;; *) continue ;; esac
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n || true; done
    suite "$name" "$command" &
    names+=("$name") titles+=("${title# }")
done <<<"$suites"
[ "${#names[@]}" -gt 0 ] || { echo "no such suite: $*" >&2; exit 2; }
wait

for i in "${!names[@]}"; do report "${names[$i]}" "${titles[$i]}"; done
count() { cat "$work"/*/verdict | grep -c "$1" || true; }
echo "$(count ok) passed, $(count FAILED) failed, $(count SKIPPED) skipped"
[ "$(count FAILED)" = 0 ]
