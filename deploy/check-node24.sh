#!/usr/bin/env bash
# Runs the whole test suite on Node 24, in a Debian trixie of its own: there the newer uWebSockets.js loads, which needs
# glibc 2.38. Tests what is committed. Not part of .ci/run: it takes a quarter of an hour, and 3 GB of the temporary folder.
# Without Helm, whose tests say that they were skipped. Words after it go to tap: deploy/check-node24.sh dist/test/e2e/*.js
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout --kill-after=20 2400 bash "deploy/$(basename "$0")" "$@"
. deploy/trixie.sh
needs debootstrap npm node git unshare

work=$(mktemp -d) root=$work/root
finish() {
  local status=$?
  [ $status = 0 ] || [ -e "$work/tap.log" ] || tail -n 30 "$work/made.log" >&3 || true
  rm -rf --one-file-system "$work"
}
exec 3>&2 # the trap may run where stderr goes to a file
trap finish EXIT
trap 'exit 1' INT TERM
# Whatever is started in it ends with it. Process 1 is a shell, since it must take the ends of orphans.
within() {
  unshare --mount --pid --fork --kill-child bash -ec '
    mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount -t tmpfs tmpfs "$1/dev/shm"
    status=0; chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 "${@:2}" || status=$?; exit $status' - "$root" "${npm_environment[@]}" "$@"
}

echo 'check-node24: making Debian trixie, Node 24 and what the tests need'
mapfile -t packages < <(sed -n 's/^packages=(\(.*\))$/\1/p' .ci/run | tr ' ' '\n')
{
  make_trixie "$root"
  add_node24 "$root"
  # The tests start servers of their own; Debian's stay off (policy-rc.d(8)).
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d"
  within apt-get update -qq
  within DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" ca-certificates git iproute2 procps
  git clone --quiet --no-hardlinks . "$root/throughline"
  within npm --prefix /throughline ci
} >"$work/made.log" 2>&1
within node -p '`check-node24: Node ${process.version}`'

status=0
within npm --prefix /throughline test -- --reporter=tap "$@" >"$work/tap.log" 2>&1 || status=$?
grep -E -B 8 -A 4 '^ *not ok|Error: ' "$work/tap.log" || true
grep -E '# SKIP|^# (\{|time=)' "$work/tap.log" || tail -n 30 "$work/tap.log"
exit "$status"
