#!/usr/bin/env bash
# Real clients against a real member: etcdctl, the Rust crate etcd-client's own live tests, and curl as the README uses it.
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

start etcdctl
check "etcdctl" tests/clients/etcdctl.sh "$url"
check "curl, as in the README" tests/clients/first_minutes.sh "$url"
for example in examples/curl/*.sh; do
    check "$example" env QUORATE="$url" timeout 60 bash "$example"
done
stop

start etcd-client
check "etcd-client's own tests" tests/clients/etcd_client.sh "$url"
stop

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
