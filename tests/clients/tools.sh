# Where the client suites find what install.sh brought; sourced by them. Kept outside the clone, for the next run and the next clone.
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${QUORATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/quorate-tools}
# etcd 3.5.1 and its etcdctl; what the PATH has is Debian's 3.4.
etcd35=$tools/python-clients/bin

# Tests that FILE names, as arguments that make pytest leave them out. A line is a test and, after "#", why.
left_out() { # FILE
    sed -n 's/^\([^# ][^ ]*\) *#.*/--deselect=\1/p' "$1"
}
