#!/usr/bin/env bash
# Makes authorities and servers' certificates in the directory $1, each of the latter with one fault but `good`.
set -euo pipefail
cd "$1"
new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
for name in trusted untrusted web; do
  "${new[@]}" -days 3650 -subj "/CN=Test $name" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout $name.key -out $name.pem 2>/dev/null
done
mkdir -p ca && echo 01 >ca/crlnumber && : >ca/index
# leaf NAME DNS-NAMES SERIAL FROM TO: signed by `web`.
leaf() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=${2%%,*}" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  echo "$3" >ca/serial
  cat >ca/config <<CONFIG
[ca]
default_ca=own
[own]
database=ca/index
serial=ca/serial
new_certs_dir=ca
default_md=sha256
policy=any
unique_subject=no
default_crl_days=30
crlnumber=ca/crlnumber
crl_extensions=list
[list]
authorityKeyIdentifier=keyid
[any]
commonName=supplied
[server]
basicConstraints=CA:FALSE
authorityKeyIdentifier=keyid
subjectAltName=DNS:${2//,/,DNS:}
CONFIG
  openssl ca -batch -config ca/config -cert web.pem -keyfile web.key -extensions server -startdate "$4" -enddate "$5" \
    -notext -in "$1.csr" -out "$1.pem" 2>/dev/null
}
now=$(date -u +%Y%m%d%H%M%SZ -d '1 day ago') later=$(date -u +%Y%m%d%H%M%SZ -d '300 days')
leaf good www.example,a.spliced.example,denied.example,reset.example 1001 "$now" "$later"
leaf expired www.example 1002 20240101000000Z 20240201000000Z
leaf other_name other.example 1003 "$now" "$later"
leaf revoked www.example 1004 "$now" "$later"
openssl ca -config ca/config -cert web.pem -keyfile web.key -revoke revoked.pem 2>/dev/null
openssl ca -config ca/config -cert web.pem -keyfile web.key -gencrl -out lists.pem 2>/dev/null
"${new[@]}" -days 300 -subj "/CN=www.example" -addext subjectAltName=DNS:www.example -keyout self_signed.key -out self_signed.pem 2>/dev/null
