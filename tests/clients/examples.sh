#!/usr/bin/env bash
# examples/ against a member at $1: in every language the same.
set -euo pipefail
export QUORATE=$1
work=$(mktemp -d)
watcher=
finish() {
    touch "$work/go-on"
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# How each language runs an example.
languages=(curl python javascript)
run_curl() { "examples/curl/$1.sh" "${@:2}"; }
run_python() { python3 "examples/python/$1.py" "${@:2}"; }
run_javascript() { node "examples/javascript/$1.mjs" "${@:2}"; }
run_go() { "$work/go/$1" "${@:2}"; }
if command -v go >/dev/null; then
    languages+=(go)
    mkdir "$work/go"
    (cd examples/go && go vet ./... && go build -o "$work/go/" ./...)
else
    echo "no go on this machine: the examples in Go were not tried"
fi

failed() {
    echo "$*" >&2
    exit 1
}

soon() { # command...
    for _ in $(seq 200); do
        ! "$@" || return 0
        sleep 0.05
    done
    failed "never: $*"
}

# While one holds the lock, the next waits; each has a higher token than the one before.
lock() { # language
    "run_$1" lock "demo-$1" sh -c "echo \$LOCK_TOKEN >'$work/first'; while [ ! -e '$work/go-on' ]; do sleep 0.1; done" 2>/dev/null &
    local holder=$!
    soon test -s "$work/first"
    "run_$1" lock "demo-$1" sh -c 'echo $LOCK_TOKEN' >"$work/second" 2>/dev/null &
    local waiter=$!
    soon eval "curl -sf '$QUORATE/v1/locks/demo-$1' | grep -q '\"waiting\":1'"
    [ ! -s "$work/second" ] || failed "two hold the lock"
    touch "$work/go-on"
    wait "$holder" "$waiter"
    [ "$(cat "$work/second")" -gt "$(cat "$work/first")" ] || failed "tokens do not rise"
    rm "$work/go-on" "$work/first"
}

# What is there is printed, then a change.
watch() { # language
    curl -sf -X PUT "$QUORATE/v1/kv/followed/$1" --data-binary before >/dev/null
    "run_$1" watch "followed/$1" >"$work/watched" 2>/dev/null &
    watcher=$!
    soon grep -q '^snapshot.*before' "$work/watched"
    curl -sf -X PUT "$QUORATE/v1/kv/followed/$1" --data-binary changed >/dev/null
    soon grep -q '^change.*changed' "$work/watched"
    kill "$watcher"
    watcher=
}

for language in "${languages[@]}"; do
    for example in lock watch; do
        echo "$example in $language"
        "$example" "$language"
    done
done

# Eight count at once, and none is lost.
for _ in $(seq 8); do examples/curl/kv.sh counted 3 >/dev/null & done
wait
[ "$(curl -sf "$QUORATE/v1/kv/counted")" = 24 ] || failed "a count was lost"

# The store outside refuses the older token.
fenced() { python3 examples/python/fenced_writer.py "$work/store.db" balance "$@"; }
fenced 7 first
fenced 9 second
! fenced 8 late 2>/dev/null || failed "a stale token was taken"
run_python lock fenced sh -c "python3 examples/python/fenced_writer.py '$work/store.db' other \$LOCK_TOKEN 1"
