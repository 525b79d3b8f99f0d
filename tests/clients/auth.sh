#!/usr/bin/env bash
# Users, roles and permissions as etcdctl (Debian's, 3.4) sees them, at a fresh member at $1: from no user to denied commands and back.
set -euo pipefail
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$1

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
root() { etcdctl --user root:secret "$@"; }
alice() { etcdctl --user alice:pass "$@"; }

expect_in 'root user does not exist' etcdctl auth enable
expect 'User root created' etcdctl user add root:secret
expect_in 'user name already exists' etcdctl user add root:secret
expect 'User alice created' etcdctl user add alice:pass
expect 'Role app created' etcdctl role add app
expect 'Role app updated' etcdctl role grant-permission app readwrite --prefix=true app/
expect 'Role app updated' etcdctl role grant-permission app read shared
expect_in 'role name not found' etcdctl role grant-permission nobody read key
expect 'Role app is granted to user alice' etcdctl user grant-role alice app
expect $'alice\nroot' etcdctl user list
expect OK etcdctl put shared 1
expect OK etcdctl put secret 1
expect_in 'Authentication Enabled' etcdctl auth enable

expect_in 'user name is empty' etcdctl get shared
expect_in 'authentication failed, invalid user ID or password' etcdctl --user alice:wrong get shared
expect_in 'authentication failed, invalid user ID or password' etcdctl --user nobody:wrong get shared
expect OK alice put app/a 1
expect $'app/a\n1' alice get --prefix app/
expect $'shared\n1' alice get shared
for refused in 'put shared 2' 'get secret' 'get --from-key app/' 'del app --prefix' 'user list' 'role list' 'compaction 2' 'auth disable' \
    'user passwd root --interactive=false'; do
    # shellcheck disable=SC2086
    expect_in 'permission denied' alice $refused </dev/null
done
expect_in 'permission denied' alice watch secret
expect_in 'Roles: app' alice user get alice
expect_in 'KV Read:' alice role get app
expect_in 'permission denied' alice user get root
expect $'secret\n1' root get secret
expect_in 'is healthy' alice endpoint health

expect 'Permission of key shared is revoked from role app' root role revoke-permission app shared
expect_in 'permission denied' alice get shared
expect_in 'permission is not granted to the role' root role revoke-permission app shared
expect 'Password updated' bash -c 'echo other | etcdctl --user root:secret user passwd alice --interactive=false'
expect_in 'authentication failed' alice get app/a
expect $'app/a\n1' etcdctl --user alice:other get app/a
expect 'Role app is revoked from user alice' root user revoke-role alice app
expect_in 'permission denied' etcdctl --user alice:other get app/a
expect_in 'invalid auth management' root user delete root
expect 'User alice deleted' root user delete alice
expect 'Role app deleted' root role delete app
expect 'Authentication Disabled' root auth disable
expect $'secret\n1' etcdctl get secret
expect_in 'authentication is not enabled' root get secret
