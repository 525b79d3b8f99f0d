#!/usr/bin/env bash
# A cluster of three as README.md and docs/operations.md have it, run with the program at $1 and etcdctl (Debian's, 3.4): started by
# deploy/local/cluster.sh, it is read and written through every member, gets a fourth, loses one for good, moves its leader and is
# restarted member by member. Every process is ended by its id.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$1
export ETCDCTL_API=3
unset ETCDCTL_ENDPOINTS
work=$(mktemp -d)
fourth=

finish() {
    [ -z "$fourth" ] || kill "$fourth" 2>/dev/null || true
    [ -z "$fourth" ] || wait "$fourth" 2>/dev/null || true
    local_cluster stop || true
    rm -rf "$work"
}

# The first of eight ports in a row that nobody serves on, below those that the system gives out.
free_ports() {
    local first port
    for _ in $(seq 100); do
        first=$((20000 + RANDOM % 1200 * 10))
        for port in $(seq "$first" $((first + 7))); do
            ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue 2
        done
        echo "$first"
        return
    done
    echo "no free ports" >&2
    return 1
}

port=$(free_ports)
local_cluster() { deploy/local/cluster.sh --binary "$binary" --dir "$work/cluster" --port "$port" "$@"; }
trap finish EXIT

address() { echo "127.0.0.1:$((port + 2 * ($1 - 1)))"; }
peer() { echo "http://127.0.0.1:$((port + 2 * ($1 - 1) + 1))"; }
three=$(address 1),$(address 2),$(address 3)
four=$three,$(address 4)
# By address: etcdctl 3.4 sends a scheme along as part of the authority in calls to one member (README, "Known differences").
ctl() { etcdctl --endpoints "$three" "$@"; }
at() { # member, command...
    local endpoint
    endpoint=$(address "$1")
    shift
    etcdctl --endpoints "$endpoint" "$@"
}

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
# For what takes a moment: tries for ten seconds.
soon() { # what is expected, command...
    local got=
    for _ in $(seq 100); do
        got=$("${@:2}" 2>&1) || true
        [ "$got" != "$1" ] || return 0
        sleep 0.1
    done
    expect "$@"
}

members() { ctl member list | cut -d, -f2,3,6 | sort; }
id_of() { ctl member list | sed -n "s/^\([0-9a-f]*\), [a-z]*, $1, .*/\1/p"; }
leaders() { etcdctl --endpoints "$four" endpoint status 2>/dev/null | cut -d, -f5 | grep -c true; }
leader() { etcdctl --endpoints "$1" endpoint status 2>/dev/null | sed -n 's/^\([^,]*\),.*, true, .*/\1/p' | head -1; }
# Prints 0 when the member has a vote from now on; refused while it is behind.
promote() { ctl member promote "$(id_of "$1")" >/dev/null 2>&1 && echo 0; }
learner_at() { at "$1" endpoint status | cut -d, -f6; }

# The fourth is started as a person does who was told by "member add" how: with its variables.
add_fourth() {
    ctl member add n4 --learner --peer-urls="$(peer 4)" | grep '^ETCD_' >"$work/n4.env"
}
start_fourth() {
    (
        set -a
        # shellcheck disable=SC1091
        . "$work/n4.env"
        exec "$binary" --data-dir "$work/n4" --listen-peer-urls "$(peer 4)" \
            --listen-client-urls "http://$(address 4)" --advertise-client-urls "http://$(address 4)"
    ) >"$work/n4.log" 2>&1 &
    fourth=$!
}
# Waits until the fourth has ended by itself, which it does with an error.
await_end_of_fourth() {
    for _ in $(seq 100); do
        kill -0 "$fourth" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 "$fourth" 2>/dev/null || { echo "the fourth member goes on"; cat "$work/n4.log"; exit 1; }
    ! wait "$fourth" || { echo "the fourth member ended without an error"; exit 1; }
    fourth=
}

local_cluster start >"$work/started"
expect_in "export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$three" cat "$work/started"
soon $' started, n1, false\n started, n2, false\n started, n3, false' members

# What is written through any member is read through every one.
for writer in 1 2 3; do
    expect OK at "$writer" put "by-$writer" "value-$writer"
    for reader in 1 2 3; do expect "value-$writer" at "$reader" get "by-$writer" --print-value-only; done
done
curl -sf -X PUT "http://$(address 2)/v1/kv/rest" --data-binary through-rest >/dev/null
expect through-rest at 3 get rest --print-value-only
expect 1 leaders
expect_in "http://$(address 3) is healthy" ctl endpoint health --cluster
expect "$(printf 'ok\nok\nok')" curl -sf "http://$(address 1)/readyz" "http://$(address 2)/readyz" "http://$(address 3)/readyz"

# A fourth member: first it follows, then it votes.
add_fourth
expect_in 'too many learner members in cluster' ctl member add n5 --learner --peer-urls=http://127.0.0.1:1
expect_in 'Peer URLs already exists' ctl member add n5 --peer-urls="$(peer 2)"
expect $' started, n1, false\n started, n2, false\n started, n3, false\n unstarted, , true' members
start_fourth
soon $' started, n1, false\n started, n2, false\n started, n3, false\n started, n4, true' members
soon ' true' learner_at 4
expect_in 'rpc not supported for learner' at 4 get by-1
expect value-1 at 4 get by-1 --print-value-only --consistency=s
n4=$(id_of n4)
soon 0 promote n4
expect_in 'can only promote a learner member' ctl member promote "$n4"
soon ' false' learner_at 4
expect 1 leaders

# The leadership goes where it is told, and back before that member goes.
expect_in "Leadership transferred from" ctl move-leader "$n4"
soon "$(address 4)" leader "$four"
expect OK at 1 put moved yes
expect yes at 4 get moved --print-value-only
expect_in "Leadership transferred from $n4 to $(id_of n1)" at 4 move-leader "$(id_of n1)"
soon "$(address 1)" leader "$three"

# Who is removed ends by itself and says why.
expect_in "$n4 removed from cluster" ctl member remove "$n4"
await_end_of_fourth
expect_in 'quorate: this member was removed from the cluster' cat "$work/n4.log"
expect $' started, n1, false\n started, n2, false\n started, n3, false' members

# A member that lost its data is refused under its old identity, and replaced: removed, added, started on an empty directory.
local_cluster stop n3
rm -rf "$work/cluster/n3"
expect_in 'has already been bootstrapped' local_cluster start n3
expect OK at 1 put without-n3 written
ctl member remove "$(id_of n3)" >/dev/null
ctl member add n3 --learner --peer-urls="$(peer 3)" >/dev/null
rm -rf "$work/cluster/n3"
ETCD_INITIAL_CLUSTER_STATE=existing local_cluster start n3 >/dev/null
soon ' true' learner_at 3
soon 0 promote n3
expect written at 3 get without-n3 --print-value-only

# One after the other is restarted; what is written meanwhile is there.
for restarted in 1 2 3; do
    local_cluster stop "n$restarted"
    expect OK at $((restarted % 3 + 1)) put "while-$restarted" away
    local_cluster start "n$restarted" >/dev/null
    soon ok curl -sf "http://$(address "$restarted")/readyz"
    expect away at "$restarted" get "while-$restarted" --print-value-only
done

# Without a majority nothing is agreed; what can be read alone still is.
local_cluster stop n1 n2
expect_in '"health":"false"' curl -s --max-time 10 "http://$(address 3)/health"
expect ok curl -sf "http://$(address 3)/livez"
expect_in 'Error' at 3 --command-timeout=1s put lost majority
expect away at 3 get while-3 --print-value-only --consistency=s
local_cluster start n1 n2 >/dev/null
soon ok curl -sf "http://$(address 3)/readyz"
expect OK at 3 put found majority
