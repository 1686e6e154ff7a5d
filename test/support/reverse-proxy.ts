/** The real nginx, Caddy and HAProxy on loopback, with the files in deploy/ as they are but for addresses and paths. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Pair, PairFiles } from './certificate.ts'
import { freePort } from './ports.ts'
import type { Teardown } from './relay.ts'
import { until } from './until.ts'

/** Two nodes on the same three ports of two addresses of loopback, as machines have. */
export const NODES = ['127.0.0.1', '127.0.0.2'] as const

export interface NodePorts {
  readonly ws: number
  readonly api: number
  readonly admin: number
}

export async function freeNodePorts(): Promise<NodePorts> {
  return { ws: await freePort(), api: await freePort(), admin: await freePort() }
}

/** Text for text, each of which must be in the file. */
export type Edits = Readonly<Record<string, string>>

interface Place {
  readonly folder: string
  readonly port: number
  readonly files: PairFiles
}

interface Kind {
  readonly name: 'nginx' | 'caddy' | 'haproxy'
  readonly file: string
  /** What has to be other than on a server. */
  edits(place: Place): Edits
  /** Writes what it needs beside the file, and returns its arguments. */
  args(place: Place, file: string): readonly string[]
}

export const KINDS: readonly Kind[] = [
  {
    name: 'nginx',
    file: 'nginx/throughline.conf',
    edits: ({ port, files }) => ({
      'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
      '/etc/ssl/relay/fullchain.pem': files.cert,
      '/etc/ssl/relay/privkey.pem': files.key,
    }),
    args({ folder }, file) {
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        kind => `${kind}_temp_path ${join(folder, kind)};`,
      )
      const http = `http { access_log off; ${paths.join(' ')} include ${file}; }`
      const top = `daemon off; master_process off; pid ${join(folder, 'pid')}; events {}`
      writeFileSync(join(folder, 'nginx.conf'), `${top} ${http}`)
      return ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')]
    },
  },
  {
    name: 'caddy',
    file: 'caddy/Caddyfile',
    edits: ({ port, files }) => ({
      '{$RELAY_HOST:relay.example.com} {': `https://127.0.0.1:${port} {\n\ttls ${files.cert} ${files.key}`,
      // Must be the first block.
      '\n(node) {': '\n{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\n(node) {',
    }),
    args: (_place, file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
  {
    name: 'haproxy',
    file: 'haproxy/haproxy.cfg',
    edits: ({ port, folder }) => ({
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/relay.pem': join(folder, 'relay.pem'),
    }),
    args({ folder, files }, file) {
      writeFileSync(join(folder, 'relay.pem'), readFileSync(files.cert, 'utf8') + readFileSync(files.key, 'utf8'))
      return ['-db', '-f', file]
    },
  },
]

export interface ReverseProxy {
  readonly ws: string
  readonly api: string
  /** What it has logged so far, one line each. */
  readonly log: readonly string[]
}

/** Starts one of them before the two nodes, with a file from deploy/ and further edits of it; it ends with the test. */
export async function startReverseProxy(
  t: Teardown,
  kind: Kind,
  pair: Pair,
  nodes: NodePorts,
  edits: Edits = {},
): Promise<ReverseProxy> {
  const folder = mkdtempSync(join(tmpdir(), `throughline-${kind.name}-`))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const place = { folder, port, files: new PairFiles(t, pair) }
  let text = shipped(kind)
  const machines = { node1: NODES[0], node2: NODES[1], ':8080': `:${nodes.ws}`, ':8081': `:${nodes.api}` }
  const probe = text.includes('9090') ? { 9090: String(nodes.admin) } : {}
  for (const [from, to] of [edits, kind.edits(place), machines, probe].flatMap(all => Object.entries(all))) {
    if (!text.includes(from)) throw new Error(`deploy/${kind.file} has no ${from}`)
    text = text.replaceAll(from, to)
  }
  const file = join(folder, 'shipped')
  writeFileSync(file, text)
  mkdirSync(join(folder, 'home'))
  const child = spawn(kind.name, kind.args(place, file), {
    env: {
      PATH: `${process.env['PATH']}:/usr/sbin`,
      HOME: join(folder, 'home'),
      XDG_DATA_HOME: folder,
      XDG_CONFIG_HOME: folder,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise(resolve => {
    child.once('exit', resolve)
    child.once('error', resolve)
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', line => log.push(line))
  await until(() => isOpen(port), { what: () => `${kind.name} to listen; it said:\n${log.join('\n')}` })
  return { ws: `wss://127.0.0.1:${port}/v1/ws`, api: `https://127.0.0.1:${port}`, log }
}

/** Returns a file as it stands in deploy/. */
export function shipped({ file }: Kind): string {
  return readFileSync(fileURLToPath(new URL(`../../../deploy/${file}`, import.meta.url)), 'utf8')
}

function isOpen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
