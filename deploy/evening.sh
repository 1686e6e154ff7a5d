#!/usr/bin/env bash
# Rehearses docs/operate/evening.md: runs the commands of its blocks, as they stand there, on a Debian 13 that is made in a
# temporary folder, and shows what they print. Tests what is committed. Takes about six minutes and 2 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout --kill-after=20 900 bash "deploy/$(basename "$0")"
. deploy/trixie.sh
needs debootstrap git node npm unshare ip

work=$(mktemp -d) root=$work/root
finish() {
  local status=$?
  if [ $status != 0 ]; then tail -n 8 "$work"/*.log "$root"/var/log/units/*.log "$root/tmp/account" >&2 2>/dev/null || true; fi
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# The commands of the page's first block, which has its settings, and of those that are marked with $1; and, to read along,
# the heading before each.
blocks() {
  node -e '
    const text = fs.readFileSync("docs/operate/evening.md", "utf8")
    const [settings, ...blocks] = [...text.matchAll(/^```sh(.*)\n([^]*?)^```$/gm)]
    const of = blocks.filter(([, mark]) => mark.trim() === process.argv[1])
    const heading = ({ index }) => text.slice(0, index).match(/^## .*$/gm).at(-1)
    const told = (block, i) => (i > 0 && heading(block) === heading(of[i - 1]) ? [] : [`echo; echo "${heading(block)}"`])
    console.log([settings[2], ...of.flatMap((block, i) => [...told(block, i), block[2]])].join("\n"))' "$1"
}
# Runs a file of commands in it, on the network of this machine or (--net) on one of its own. Whatever is started ends with it.
within() {
  unshare $1 --mount --pid --fork --kill-child bash -ec '
    # glibc looks up no address for a machine that has none but 127.0.0.1.
    if [ "$3" = --net ]; then ip link set lo up && ip address add 192.0.2.1/32 dev lo; fi
    mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount -t tmpfs tmpfs "$1/run"
    exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive SOURCE=/source NOW=v-now NEXT=v-next "${@:4}" \
      bash -euo pipefail "$2"' - "$root" "$2" "$1" "${npm_environment[@]}"
}

echo 'evening: making a bare Debian 13'
make_trixie "$root" >"$work/made.log" 2>&1
npm_environment=(PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin npm_config_registry="$(npm config get registry)")
if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then
  cp -L "$NODE_EXTRA_CA_CERTS" "$root/usr/local/extra-ca.pem"
  npm_environment+=(NODE_EXTRA_CA_CERTS=/usr/local/extra-ca.pem)
fi
install -m 755 deploy/systemctl-stand-in.sh "$root/usr/local/bin/systemctl"
# Nothing starts by itself, as there is no systemd (policy-rc.d(8)).
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d"
# The next version is this one with a higher number.
git clone --quiet --no-hardlinks . "$root/source"
(
  cd "$root/source"
  git tag v-now
  sed -i '0,/"version": "\(.*\)"/s//"version": "\1-next"/' package.json
  git -c user.name=evening -c user.email=evening@localhost commit --quiet --all --message 'Raise the number'
  git tag v-next
)

echo 'evening: running the blocks that fetch'
blocks fetches >"$root/fetches.sh"
within '' /fetches.sh >"$work/fetches.log" 2>&1
echo 'evening: running the others'
blocks '' >"$root/evening.sh"
within --net /evening.sh
echo 'evening: good'
