#!/usr/bin/env bash
# Real clients against a real member: etcdctl, the Rust crate etcd-client's and the Python package etcd3gw's own live tests, and curl as
# the README uses it; TLS; and
# a cluster of three as the README and docs/operations.md have it.
# Prints one line a check and a closing count.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet
binary=${CARGO_TARGET_DIR:-target}/debug/quorate
work=$(mktemp -d)
passed=0 failed=0
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Starts a member on a fresh directory; sets $server and $url.
start() {
    "$binary" --data-dir "$work/data-$1" --listen-client-urls http://127.0.0.1:0 >"$work/out" 2>"$work/log" &
    server=$!
    for _ in $(seq 200); do
        url=$(sed -n 's/^Quorate .* serves \(http[^ ,]*\).*/\1/p' "$work/out")
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/log" >&2
    echo "the member did not start" >&2
    exit 1
}

stop() {
    kill "$server"
    wait "$server" || { echo "the member did not end cleanly" >&2; failed=$((failed + 1)); }
    server=
}

check() { # name command...
    local name=$1
    shift
    if "$@" >"$work/check" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        sed 's/^/        /' "$work/check"
    fi
}

# Two that want the same lock: each runs alone, with a higher token than the one before.
lock_example() {
    local first second
    first=$(timeout 60 examples/curl/lock.sh demo sh -c 'echo $LOCK_TOKEN') || return
    second=$(timeout 60 examples/curl/lock.sh demo sh -c 'echo $LOCK_TOKEN') || return
    [ "$second" -gt "$first" ]
}

# A change of a key that is watched is printed.
watch_example() {
    local watcher seen=1
    timeout 60 examples/curl/watch.sh followed >"$work/watched" 2>/dev/null &
    watcher=$!
    for _ in $(seq 100); do grep -q '^snapshot' "$work/watched" && break; sleep 0.05; done
    curl -sf -X PUT "$url/v1/kv/followed" --data-binary changed >/dev/null || return
    for _ in $(seq 100); do grep -q '^change.*changed' "$work/watched" && seen=0 && break; sleep 0.05; done
    kill "$watcher" 2>/dev/null
    [ "$seen" = 0 ] || { cat "$work/watched"; return 1; }
}

start etcdctl
check "etcdctl" tests/clients/etcdctl.sh "$url"
check "curl, as in the README" tests/clients/first_minutes.sh "$url"
export QUORATE=$url
check "examples/curl/kv.sh" timeout 60 examples/curl/kv.sh
check "examples/curl/lock.sh" lock_example
check "examples/curl/watch.sh" watch_example
stop

start etcd3gw
check "etcd3gw's own tests" tests/clients/etcd3gw.sh "$url"
stop

start etcd-client
check "etcd-client's own tests" tests/clients/etcd_client.sh "$url"
stop

check "etcdctl and curl over TLS" tests/clients/tls.sh "$binary"
check "etcdctl and a cluster" tests/clients/cluster.sh "$binary"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
