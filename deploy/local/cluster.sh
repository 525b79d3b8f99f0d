#!/usr/bin/env bash
# A cluster on this machine's loopback, to try things with: members n1, n2, ... with data, logs and process ids below one folder.
# Whatever it starts it ends by process id. Not for production: one machine is one failure.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/local/cluster.sh [OPTIONS] COMMAND [MEMBER...]

Commands:
  start    starts the members in the background and returns when they serve (without MEMBER: all of them)
  run      starts all in the foreground and shows their logs; Ctrl-C stops them
  stop     stops the members with SIGTERM, so that a leader hands over first; the data stay
  status   shows which members run, where they serve, and where their logs are
  flags    prints the flags that a member is started with
  wipe     stops all and deletes their data and logs

Options:
  --members N    how many members there are (default 3)
  --port N       first port: n1 serves clients on N and peers on N+1, n2 on N+2 and N+3, ... (default 2379)
  --dir DIR      where data, logs and process ids are (default ./cluster.quorate)
  --binary FILE  the quorate to run (default: target/release/quorate of this clone, which is built if it is not there)
  -h, --help     this

Further flags of quorate are taken from ETCD_* variables, e.g. ETCD_SNAPSHOT_COUNT=1000 deploy/local/cluster.sh start
TEXT
}

fail() {
    echo "cluster.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/../.." && pwd)
size=3 port=2379 dir=cluster.quorate binary="" command=""
names=()
while [ $# -gt 0 ]; do
    case $1 in
    --members | --port | --dir | --binary)
        [ $# -ge 2 ] || fail "$1 takes a value"
        case $1 in
        --members) size=$2 ;;
        --port) port=$2 ;;
        --dir) dir=$2 ;;
        --binary) binary=$2 ;;
        esac
        shift
        ;;
    -h | --help)
        usage
        exit
        ;;
    -*) fail "there is no option $1; see --help" ;;
    *) if [ -z "$command" ]; then command=$1; else names+=("$1"); fi ;;
    esac
    shift
done
[[ $size =~ ^[1-9]$ ]] || fail "--members takes 1 to 9"
[[ $port =~ ^[1-9][0-9]{0,4}$ && $((port + 2 * size)) -le 65536 ]] || fail "--port takes a port with $((2 * size - 1)) more above it"

# A member is known by its data directory, however that was written when it was started.
dir=$(realpath -m "$dir")

all=()
for number in $(seq "$size"); do all+=("n$number"); done
[ "${#names[@]}" -gt 0 ] || names=("${all[@]}")
for name in "${names[@]}"; do
    [[ " ${all[*]} " = *" $name "* ]] || fail "there is no member $name among ${all[*]}"
done

client_url() { echo "http://127.0.0.1:$((port + 2 * (${1#n} - 1)))"; }
peer_url() { echo "http://127.0.0.1:$((port + 2 * (${1#n} - 1) + 1))"; }

# Without a scheme, which etcdctl 3.4 does not take in every command; newer ones take both.
endpoints() {
    local list=
    for name in "${all[@]}"; do list+=,$(client_url "$name"); done
    echo "${list//,http:\/\//,}" | cut -c2-
}

flags() { # member
    local cluster=
    for name in "${all[@]}"; do cluster+=,$name=$(peer_url "$name"); done
    printf '%s\n' --name "$1" --data-dir "$dir/$1" \
        --listen-client-urls "$(client_url "$1")" --advertise-client-urls "$(client_url "$1")" \
        --listen-peer-urls "$(peer_url "$1")" --initial-advertise-peer-urls "$(peer_url "$1")" \
        --initial-cluster "${cluster#,}" --initial-cluster-state "${ETCD_INITIAL_CLUSTER_STATE:-new}"
}

# The process id of a member that runs. A number that another process has got since is not taken for it.
pid_of() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    kill -0 "$pid" 2>/dev/null && ps -o args= -p "$pid" | grep -qF -- "--data-dir $dir/$1 "
}

find_binary() {
    [ -z "$binary" ] || { [ -x "$binary" ] || fail "$binary is not a program"; return 0; }
    binary=${CARGO_TARGET_DIR:-$root/target}/release/quorate
    [ -x "$binary" ] && return
    echo "building $binary" >&2
    cargo build --release --manifest-path "$root/Cargo.toml" --package quorate
}

start() { # member...
    find_binary
    mkdir -p "$dir"
    local name started=() arguments
    for name in "$@"; do
        pid_of "$name" && continue
        mapfile -t arguments < <(flags "$name")
        : >>"$dir/$name.log"
        wc -c <"$dir/$name.log" >"$dir/$name.from"
        nohup "$binary" "${arguments[@]}" >>"$dir/$name.log" 2>&1 </dev/null &
        echo $! >"$dir/$name.pid"
        started+=("$name")
    done
    for name in ${started[@]+"${started[@]}"}; do await "$name"; done
}

# Waits until a member serves clients. Without a quorum it does so as well, after two seconds.
await() {
    for _ in $(seq 300); do
        tail -c "+$(($(cat "$dir/$1.from") + 1))" "$dir/$1.log" | grep -q 'ready to serve client requests' && return
        pid_of "$1" || break
        sleep 0.1
    done
    tail -n 5 "$dir/$1.log" >&2
    fail "$1 did not start; its log is $dir/$1.log"
}

# All are told before one is waited for: the last ones would look for somebody to hand over to.
stop() { # member...
    local name told=()
    for name in "$@"; do
        pid_of "$name" || continue
        kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
        told+=("$name")
    done
    for name in ${told[@]+"${told[@]}"}; do
        for _ in $(seq 100); do
            pid_of "$name" || break
            sleep 0.1
        done
        ! pid_of "$name" || fail "$name (process $(cat "$dir/$name.pid")) did not stop within 10 s"
        rm -f "$dir/$name.pid"
    done
}

status() {
    local name state
    for name in "${names[@]}"; do
        if pid_of "$name"; then state="process $(cat "$dir/$name.pid")"; else state="not running"; fi
        printf '%-4s %-24s peers %-24s log %s  %s\n' "$name" "$(client_url "$name")" "$(peer_url "$name")" "$dir/$name.log" "$state"
    done
    printf '\nexport ETCDCTL_API=3 ETCDCTL_ENDPOINTS=%s\n' "$(endpoints)"
}

run() {
    local tail=
    trap '[ -z "$tail" ] || kill "$tail" 2>/dev/null; stop "${all[@]}"' EXIT
    trap 'exit 0' INT TERM
    start "${all[@]}"
    status
    local logs=()
    for name in "${all[@]}"; do logs+=("$dir/$name.log"); done
    tail -n 0 -F "${logs[@]}" &
    tail=$!
    wait "$tail"
}

case $command in
start)
    start "${names[@]}"
    status
    ;;
run) run ;;
stop) stop "${names[@]}" ;;
status) status ;;
flags) for name in "${names[@]}"; do flags "$name" | paste -sd ' '; done ;;
wipe)
    stop "${all[@]}"
    for name in "${all[@]}"; do rm -rf "${dir:?}/$name" "$dir/$name".{log,from,pid}; done
    rmdir "$dir" 2>/dev/null || true
    ;;
'') usage && exit 1 ;;
*) fail "there is no command $command; see --help" ;;
esac
