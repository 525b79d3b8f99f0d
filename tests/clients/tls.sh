#!/usr/bin/env bash
# etcdctl (Debian's, 3.4) and curl over TLS, to a member run with the program at $1: with a certificate, without one, and with one
# that was revoked while the member runs. Certificates are made with OpenSSL, as docs/operations.md has it.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$1
export ETCDCTL_API=3
unset ETCDCTL_ENDPOINTS
work=$(mktemp -d)
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
fail() { echo "$*" >&2; cat "$work/log" >&2; exit 1; }

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1.key" 2>/dev/null; }
sign() { # name
    key "$1"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    openssl ca -batch -notext -config "$work/ca.conf" -in "$work/$1.csr" -out "$work/$1.pem" 2>/dev/null
}
revocations() { openssl ca -config "$work/ca.conf" -gencrl -out "$work/crl.new" 2>/dev/null && mv "$work/crl.new" "$work/crl.pem"; }

cat >"$work/ca.conf" <<CONF
[ca]
default_ca = test
[test]
dir = $work
database = $work/index
serial = $work/serial
crlnumber = $work/crlnumber
new_certs_dir = $work
certificate = $work/ca.pem
private_key = $work/ca.key
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
x509_extensions = leaf
unique_subject = no
[any]
commonName = supplied
[leaf]
subjectAltName = IP:127.0.0.1,DNS:localhost
extendedKeyUsage = serverAuth,clientAuth
CONF
touch "$work/index"
echo 1000 >"$work/serial"
echo 01 >"$work/crlnumber"
key ca
openssl req -x509 -key "$work/ca.key" -subj "/CN=test authority" -days 2 -addext keyUsage=critical,keyCertSign,cRLSign -out "$work/ca.pem"
sign member
sign anna
sign berta
revocations

"$binary" --data-dir "$work/data" --listen-client-urls https://127.0.0.1:0 --cert-file "$work/member.pem" --key-file "$work/member.key" \
    --client-cert-auth --trusted-ca-file "$work/ca.pem" --client-crl-file "$work/crl.pem" >"$work/out" 2>"$work/log" &
server=$!
url=
for _ in $(seq 200); do
    url=$(sed -n 's/^Quorate .* serves \(https[^ ,]*\).*/\1/p' "$work/out")
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
done
[ -n "$url" ] || fail "the member did not start"

as() { # name, command...
    local name=$1
    shift
    etcdctl --endpoints "$url" --command-timeout 3s --cacert "$work/ca.pem" --cert "$work/$name.pem" --key "$work/$name.key" "$@"
}
[ "$(as anna put greeting hello)" = OK ] || fail "anna cannot put"
[ "$(as berta get greeting --print-value-only)" = hello ] || fail "berta cannot get"
if etcdctl --endpoints "$url" --command-timeout 2s --cacert "$work/ca.pem" get greeting >/dev/null 2>&1; then
    fail "somebody without a certificate was let in"
fi
if etcdctl --endpoints "${url/https/http}" --command-timeout 2s get greeting >/dev/null 2>&1; then
    fail "somebody without TLS was let in"
fi
for version in 1.1 2; do
    body=$(curl -sf --http$version --cacert "$work/ca.pem" --cert "$work/anna.pem" --key "$work/anna.key" "$url/v3/kv/range" -d '{"key":"Z3JlZXRpbmc="}')
    case $body in *'"value":"aGVsbG8="'*) ;; *) fail "curl, HTTP/$version: $body" ;; esac
done

openssl ca -config "$work/ca.conf" -revoke "$work/berta.pem" 2>/dev/null
revocations
for _ in $(seq 100); do
    as berta get greeting >/dev/null 2>&1 || break
    sleep 0.1
done
! as berta get greeting >/dev/null 2>&1 || fail "berta was let in after her certificate was revoked"
[ "$(as anna get greeting --print-value-only)" = hello ] || fail "anna is kept out as well"
kill "$server"
wait "$server" || fail "the member did not end cleanly"
server=
