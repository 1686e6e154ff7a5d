#!/usr/bin/env bash
# Makes what compose.yaml needs and nobody else may read: deploy/secrets/ and deploy/.env, for the host name that is given.
# What is there already stays as it is.
set -euo pipefail
host=${1-}
if ! [[ $host =~ ^[a-z0-9.-]+$ ]]; then
  echo 'usage: deploy/secrets.sh relay.example.com' >&2
  exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
# The folder keeps others out. The files in it are read by the containers' users, none of whom is you.
mkdir -p "$here/secrets/sites"
chmod 700 "$here/secrets"
cd "$here/secrets"
umask 022
put() { if [ -e "$1" ]; then cat >/dev/null; else cat >"$1"; fi; }

password=$(openssl rand -hex 32) turn=$(openssl rand -hex 32)
[ ! -e redis_password ] || password=$(sed -n 's/^requirepass //p' redis_password)
[ ! -e turnserver.conf ] || turn=$(sed -n 's/^static-auth-secret=//p' turnserver.conf)
put redis_password <<<"requirepass $password"
put node.env <<<"THROUGHLINE_BUS=redis://:$password@redis:6379"
sed -e "s/^realm=.*/realm=$host/" -e "s/^static-auth-secret=.*/static-auth-secret=$turn/" ../coturn/turnserver.conf | put turnserver.conf
put ice.json <<<"{\"urls\":[\"stun:$host:3478\",\"turn:$host:3478?transport=udp\",\"turn:$host:3478?transport=tcp\"],\"secret\":\"$turn\"}"
openssl rand -hex 16 | put grafana_password
put sites/sites.json <<<'{}'
put ../.env <<<"RELAY_HOST=$host"
echo "made deploy/secrets for $host; add a site with
  npx throughline site add acme --origin https://example.com --sites deploy/secrets/sites/sites.json"
