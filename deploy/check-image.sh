#!/usr/bin/env bash
# Builds the image without a Docker engine and tries it as a container: process 1, the image's user, a read-only root, a
# network of its own; then again with two workers. Its bases are made here, of Debian trixie and Node 24 from npm. Takes
# about two minutes and 3 GB of the temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout --kill-after=20 900 bash "deploy/$(basename "$0")"

. deploy/trixie.sh
needs debootstrap buildah npm node redis-server unshare nsenter ip

work=$(mktemp -d) base=$work/base container= redis=
finish() {
  local status=$?
  for process in $redis $container; do kill -KILL "$process" && wait "$process"; done 2>/dev/null || true
  [ $status = 0 ] || tail -n 30 "$work"/*.log >&3 || true
  rm -rf --one-file-system "$work"
}
exec 3>&2 # the trap may run where stderr goes to a file
trap finish EXIT
trap 'exit 1' INT TERM
export XDG_RUNTIME_DIR=$work
buildah() { command buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"; }

echo 'check-image: making Debian trixie and Node 24'
# What an image is made of: a folder, and settings of buildah config.
commit() {
  local scratch
  scratch=$(buildah from scratch)
  buildah copy --quiet "$scratch" "$base" /
  buildah config "${@:2}" "$scratch"
  buildah commit --quiet --rm "$scratch" "docker.io/library/$1"
}
{
  make_trixie "$base"
  # As Debian's own slim images are made.
  rm -rf "$base"/usr/share/{doc,info,lintian,locale,man}/* "$base"/var/{cache,log}/* "$base"/var/lib/apt/lists/*
  commit debian:trixie-slim --env PATH=/usr/local/bin:/usr/bin:/bin
  add_node24 "$base"
  commit node:24-trixie-slim "${npm_environment[@]/#/--env=}"
} >"$work/base.log" 2>&1

echo 'check-image: building'
{
  buildah bud --isolation chroot --pull-never --format docker --tag throughline .
  root=$(buildah mount "$(buildah from --pull-never localhost/throughline)")
} >"$work/build.log" 2>&1
config() { buildah inspect --type image throughline | node -p "const { config } = JSON.parse(fs.readFileSync(0)).Docker; $1"; }
mapfile -t env < <(config 'config.Env.join("\n")')
mapfile -t entry < <(config 'config.Entrypoint.join("\n")')
mapfile -t start < <(config 'config.Cmd.join("\n")')
mapfile -t health < <(config 'config.Healthcheck.Test.slice(1).join("\n")')
user=$(config config.User)
sbom=$(config 'config.Labels["throughline.sbom"]')
size=$(du -sm "$root" | cut -f 1)
if [ "$user" = 0 ] || [ "$user" = root ]; then echo 'the image runs as root' >&2 && exit 1; fi
if [ "$size" -ge 250 ]; then echo "the image has $size MB, which is 250 or more" >&2 && exit 1; fi
# Every package that is in it stands in its bill of materials, and none that is not.
node -e '
  const [root, file] = process.argv.slice(1), folder = `${root}/app/node_modules`, text = path => JSON.parse(fs.readFileSync(path))
  const listed = text(root + file).components.map(({ purl }) => decodeURIComponent(purl).slice("pkg:npm/".length))
  const found = fs.readdirSync(folder, { recursive: true }).filter(path => /(^|node_modules\/)(@[^/]+\/)?[^/@]+\/package\.json$/.test(path))
  const there = found.map(path => text(`${folder}/${path}`)).map(({ name, version }) => `${name}@${version}`)
  const odd = [...there.filter(one => !listed.includes(one)), ...listed.filter(one => !there.includes(one))]
  console.log(`check-image: ${file} lists ${listed.length} packages`)
  if (odd.length > 0 || listed.length === 0) throw new Error(`in the image or in ${file}, not in both: ${odd.join(", ")}`)' "$root" "$sbom"

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
inside() { nsenter --target "$process" --mount --pid --net --root --wd --setuid "$user" --setgid "$user" env -i "${env[@]}" "$@"; }
wait_for() {
  for _ in {1..200}; do "$@" && return; sleep 0.1; done
  echo "waited in vain for: $*" >&2 && exit 1
}
children() { tr ' ' '\n' <"/proc/$1/task/$1/children" | sed '/^$/d'; }
# Starts it: $container is what holds it, $process is process 1 as this side numbers it.
launch() {
  contain "${start[@]}" >"$log" 2>&1 &
  container=$!
  wait_for has_children "$container" 1
  process=$(children "$container")
}
has_children() { [ "$(children "$1" | wc -l)" = "$2" ]; }
listens() { grep -q '"port":"ws"' "$log"; }
log=$work/relay.log
launch
wait_for listens
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
head -n 1 "$log"

# Process 1 has children now: one is killed, its place is taken, and of the dead one nothing stays.
echo 'check-image: running with two workers'
env+=(THROUGHLINE_BUS=redis://127.0.0.1:6379 THROUGHLINE_WORKERS=2) log=$work/workers.log
launch
nsenter --target "$process" --net redis-server --bind 0.0.0.0 --protected-mode no --save '' >"$work/redis.log" 2>&1 &
redis=$!
wait_for listens
worker=$(children "$process" | head -n 1)
kill -KILL "$worker"
replaced() { has_children "$process" 2 && ! children "$process" | grep -qx "$worker"; }
wait_for replaced
inside "${health[@]}"
if inside sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status'; then echo 'a zombie is left' >&2 && exit 1; fi
inside node -e 'process.kill(1, "SIGTERM")'
wait "$container"
container=
echo "check-image: good; the image has $size MB, of which $(du -sm "$root/app" | cut -f 1) MB are the relay and its packages"
