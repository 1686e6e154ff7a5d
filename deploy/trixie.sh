# For the checks beside it, which source it: Debian trixie and Node 24 in a folder, as this machine has neither.

# Ends a check with one line if it is not run by root, or a program is not here.
needs() {
  local program lacks=()
  for program in "$@"; do
    command -v "$program" >/dev/null || lacks+=("$program")
  done
  [ "$(id -u)" = 0 ] || lacks+=('to be run by root')
  [ ${#lacks[@]} = 0 ] && return
  echo "$(basename "$0") needs ${lacks[*]} (Debian: apt-get install debootstrap buildah npm redis-server util-linux iproute2)" >&2
  exit 1
}

# MIRROR names another Debian mirror than this machine's.
make_trixie() {
  local mirror=${MIRROR-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
  debootstrap --variant=minbase trixie "$1" ${mirror:+"$mirror"}
}

# Puts node, npm and npx where the official image has them. What npm needs of this machine stands in $npm_environment.
add_node24() {
  local local=$1/usr/local node
  node=node-linux-$(node -p process.arch)
  npm install --no-save --prefix "$local/lib" "$node@24" npm@11
  mv "$local/lib/node_modules/$node/bin/node" "$local/bin/node"
  for program in npm npx; do ln -s "../lib/node_modules/npm/bin/$program-cli.js" "$local/bin/$program"; done
  npm_environment=(PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin npm_config_registry="$(npm config get registry)")
  if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then
    cp -L "$NODE_EXTRA_CA_CERTS" "$local/extra-ca.pem"
    npm_environment+=(NODE_EXTRA_CA_CERTS=/usr/local/extra-ca.pem)
  fi
}
