#!/usr/bin/env bash
# systemctl for deploy/evening.sh, where there is no systemd: starts the command lines of real units, and ends them by
# their process. Of a unit it follows what is read below; output goes to /var/log/units.
set -euo pipefail
state=/run/stand-in
mkdir -p "$state" /var/log/units
verb=$1 now=
shift
if [ "${1-}" = --now ]; then now=1; shift; fi

# Sets $unit, and $file, with the instance in place of %i.
find_unit() {
  unit=${1%.service}
  local template=$unit instance=
  if [[ $unit = *@* ]]; then template=${unit%%@*}@ instance=${unit#*@}; fi
  for folder in /etc/systemd/system /usr/lib/systemd/system; do
    [ -e "$folder/$template.service" ] || continue
    file=$(sed "s/%i/$instance/g" "$folder/$template.service")
    return
  done
  echo "Unit $unit.service not found." >&2
  exit 5
}
values() { sed -n "s/^$1=//p" <<<"$file"; }
value() { values "$1" | tail -n 1; }
process() { cat "$state/$unit" 2>/dev/null || value PIDFile | xargs -r cat 2>/dev/null || true; }
runs() { [ -n "$(process)" ] && kill -0 "$(process)" 2>/dev/null; }

start() {
  runs && return
  local user group folder pre
  user=$(value User) group=$(value Group)
  for folder in $(values RuntimeDirectory); do install -d -o "${user:-root}" -g "${group:-${user:-root}}" "/run/$folder"; done
  (
    set -a
    for folder in $(values EnvironmentFile); do . "${folder#-}"; done
    while read -r pre; do [ -z "$pre" ] || export "${pre?}"; done < <(values Environment)
    set +a
    # A container may not give more than it has.
    ulimit -n "$(value LimitNOFILE | grep . || echo 524288)" 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    eval "set -- $(value ExecStart)"
    [ -z "$user" ] || set -- setpriv --reuid "$user" --regid "${group:-$user}" --init-groups "$@"
    cd /
    if [ "$(value Type)" = forking ]; then exec "$@"; fi
    setsid "$@" </dev/null >>"/var/log/units/$unit.log" 2>&1 &
    echo $! >"$state/$unit"
  )
}

stop() {
  runs || return 0
  local seconds
  kill -TERM "$(process)"
  seconds=$(value TimeoutStopSec | tr -d s)
  for ((i = 0; i < ${seconds:-90} * 10; i++)); do
    runs || break
    sleep 0.1
  done
  if runs; then echo "$unit did not end" >&2 && kill -KILL "$(process)"; fi
  rm -f "$state/$unit"
}

for name in "$@"; do
  find_unit "$name"
  case $verb in
    start) start ;;
    stop) stop ;;
    restart) stop && start ;;
    enable) if [ -n "$now" ]; then start; fi ;;
    disable) if [ -n "$now" ]; then stop; fi ;;
    *) echo "systemctl $verb is not stood in for" >&2 && exit 1 ;;
  esac
done
