#!/usr/bin/env bash
# Builds the image without a Docker engine and tries it as a container: process 1, the image's user, a read-only root, a
# network of its own. The base is made here, of Debian trixie and Node 24 from npm. Takes about two minutes and 2 GB of
# the temporary folder. MIRROR names another Debian mirror than this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout --kill-after=20 900 bash "deploy/$(basename "$0")"

lacks=()
for program in debootstrap buildah npm node unshare nsenter ip; do
  command -v "$program" >/dev/null || lacks+=("$program")
done
[ "$(id -u)" = 0 ] || lacks+=('to be run by root')
if [ ${#lacks[@]} -gt 0 ]; then
  echo "check-image needs ${lacks[*]} (Debian: apt-get install debootstrap buildah npm util-linux iproute2)" >&2
  exit 1
fi

work=$(mktemp -d) base=$work/base/usr/local container=
finish() {
  local status=$?
  [ -z "$container" ] || kill -KILL "$container" 2>/dev/null || true
  [ $status = 0 ] || tail -n 30 "$work"/*.log >&3 || true
  rm -rf --one-file-system "$work"
}
exec 3>&2 # the trap may run where stderr goes to a file
trap finish EXIT
trap 'exit 1' INT TERM
export XDG_RUNTIME_DIR=$work
buildah() { command buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"; }

echo 'check-image: making a base of trixie and Node 24'
mirror=${MIRROR-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
node=node-linux-$(node -p process.arch)
{
  debootstrap --variant=minbase trixie "$work/base" ${mirror:+"$mirror"}
  npm install --no-save --prefix "$base/lib" "$node@24" npm@11
  ln -s "../lib/node_modules/$node/bin/node" "$base/bin/node"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$base/bin/npm"
  chroot "$work/base" useradd --uid 1000 --create-home node
} >"$work/base.log" 2>&1
env=(--env PATH=/usr/local/bin:/usr/bin:/bin --env npm_config_registry="$(npm config get registry)")
if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then
  cp -L "$NODE_EXTRA_CA_CERTS" "$base/extra-ca.pem"
  env+=(--env NODE_EXTRA_CA_CERTS=/usr/local/extra-ca.pem)
fi

echo 'check-image: building'
{
  scratch=$(buildah from scratch)
  buildah copy --quiet "$scratch" "$work/base" /
  buildah config "${env[@]}" "$scratch"
  buildah commit --quiet --rm "$scratch" docker.io/library/node:24-trixie-slim
  buildah bud --isolation chroot --pull-never --format docker --tag throughline .
  root=$(buildah mount "$(buildah from --pull-never localhost/throughline)")
} >"$work/build.log" 2>&1
config() { buildah inspect --type image throughline | node -p "const { config } = JSON.parse(fs.readFileSync(0)).Docker; $1"; }
mapfile -t env < <(config 'config.Env.join("\n")')
mapfile -t entry < <(config 'config.Entrypoint.join("\n")')
mapfile -t start < <(config 'config.Cmd.join("\n")')
mapfile -t health < <(config 'config.Healthcheck.Test.slice(1).join("\n")')
user=$(config config.User)

echo 'check-image: running'
mkdir "$work/data" && chown "$user" "$work/data"
contain() {
  exec unshare --mount --pid --net --fork --kill-child bash -ec '
    ip link set lo up; mount --bind "$1" "$1"; mount --bind "$2" "$1/mnt"; mount -t proc proc "$1/proc"; mount -o remount,bind,ro "$1"
    exec chroot --userspec="$3:$3" "$1" /usr/bin/env -i "${@:4}"' - "$root" "$work/data" "$user" "${env[@]}" "${entry[@]}" "$@"
}
env+=(THROUGHLINE_SITES=/mnt/sites.json)
(contain site add acme --origin https://example.com --sites /mnt/sites.json) >"$work/site.log" 2>&1
reader=$(contain token --site acme --sites /mnt/sites.json --user 7 --thread 42=read)
writer=$(contain token --site acme --sites /mnt/sites.json --api)
contain "${start[@]}" >"$work/relay.log" 2>&1 &
container=$!
for _ in {1..100}; do grep -q '"port":"ws"' "$work/relay.log" && break; sleep 0.1; done
process=$(tr -d ' ' <"/proc/$container/task/$container/children")
inside() { nsenter --target "$process" --mount --pid --net --root --wd --setuid "$user" --setgid "$user" env -i "${env[@]}" "$@"; }
inside "${health[@]}"
if inside sh -c 'echo >/tmp/written' 2>/dev/null; then echo 'the root is not read-only' >&2 && exit 1; fi
# Publishes an event, reads it from a socket, tells process 1 to end, and leaves when the relay asks it to.
inside node -e '
  const [reader, writer] = process.argv.slice(1), data = `{ "big": 12345678901234567890 }`
  const headers = { authorization: `Bearer ${writer}`, "content-type": "application/json" }
  const body = `{"to":{"thread":"42"},"type":"message","data":${data}}`
  const socket = new WebSocket("ws://127.0.0.1:8080/v1/ws", "throughline.v1")
  const send = frame => socket.send(JSON.stringify(frame))
  socket.onopen = () => send({ op: "connect", id: 1, token: reader })
  socket.onmessage = ({ data: frame }) => {
    const { op } = JSON.parse(frame)
    if (op === "connected") send({ op: "subscribe", id: 2, threads: ["42"] })
    if (op === "subscribed") fetch("http://127.0.0.1:8081/v1/publish", { method: "POST", headers, body })
    if (op === "event") process.kill(frame.includes(data) ? 1 : process.pid, "SIGTERM")
    if (op === "drain") process.exit(0)
  }
  setTimeout(() => process.exit(1), 10_000)' "$reader" "$writer"
wait "$container" # drained: the exit code is 0
container=
head -n 1 "$work/relay.log"
echo "check-image: good; the image is $(du -sm "$root/app" | cut -f 1) MB more than its base"
