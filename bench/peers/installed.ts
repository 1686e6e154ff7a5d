/** Peers come from the registry, into a folder of their own: they are no dependencies of the project. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const { THROUGHLINE_BENCH_PEERS, XDG_CACHE_HOME } = process.env
/** Where they are: also what their own `require` starts from. */
export const PEERS = THROUGHLINE_BENCH_PEERS ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'throughline-bench')

const VERSIONS = {
  '@soketi/soketi': '1.6.1',
  'socket.io': '4.8.4',
  '@socket.io/redis-adapter': '8.3.0',
  ioredis: '5.11.1',
}
/** soketi names uWebSockets.js by its address at GitHub; this is the same release, from the registry. */
const OVERRIDES = { 'uWebSockets.js': 'npm:@trufflesuite/uws-js-unofficial@20.30.0-unofficial.0' }

/** Installs what is missing, without running any script of a package. Throws with one line when it cannot. */
export function installPeers(): void {
  if (Object.keys(VERSIONS).every(name => existsSync(join(PEERS, 'node_modules', name)))) return
  if (!process.version.startsWith('v20.'))
    throw new Error(`--peers: soketi's uWebSockets.js 20.30 loads on Node 20 only, this is ${process.version}`)
  console.log(`Installing ${Object.keys(VERSIONS).join(', ')} into ${PEERS}`)
  mkdirSync(PEERS, { recursive: true })
  const manifest = { private: true, dependencies: VERSIONS, overrides: OVERRIDES }
  writeFileSync(join(PEERS, 'package.json'), JSON.stringify(manifest, null, 2))
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', PEERS]
  if (spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0)
    throw new Error(`--peers: they could not be installed; try it by hand: npm ${args.join(' ')}`)
}
