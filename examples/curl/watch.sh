#!/usr/bin/env bash
# Prints every change of the keys under a prefix, and goes on where it was when the connection is lost: watch.sh [PREFIX]
set -euo pipefail

base=${QUORATE:-http://127.0.0.1:2379}
prefix=${1-}
cursor=

# One block of lines is one event; its id is where to go on. "part" has none: the event that follows completes it.
follow() {
    local id='' event='' data=''
    while IFS= read -r line; do
        case $line in
        'id: '*) id=${line#id: } ;;
        'event: '*) event=${line#event: } ;;
        'data: '*) data=${line#data: } ;;
        '')
            [ -z "$event" ] || printf '%s\t%s\n' "$event" "$data"
            [ -z "$id" ] || cursor=$id
            id='' event='' data=''
            ;;
        esac
    done
}

# The first connection tells what there is ("snapshot"); later ones tell what was missed, or start over ("reset") when that is no
# longer kept. Nothing is skipped in silence.
while :; do
    follow < <(
        curl -sS -N -G "$base/v1/watch" --data-urlencode "prefix=$prefix" \
            ${cursor:+-H "Last-Event-ID: $cursor"} || true
    )
    echo "connecting again${cursor:+ after $cursor}" >&2
    sleep 2
done
