import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contestant, Running } from '../lib/contestant.ts'
import { post } from '../lib/event.ts'
import { Child, listening } from '../lib/processes.ts'

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
export const SITE = 'bench'
const TOKEN_SECONDS = 3000

const directory = mkdtempSync(join(tmpdir(), 'throughline-bench-'))
let siteFiles = 0
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

/** The relay as an operator starts it: one node on the memory bus, or two nodes with Redis. */
export const throughline: Contestant = {
  name: 'Throughline',
  async start(redis) {
    const secret = randomBytes(32)
    const sites = writeSites(secret)
    const a = await startNode(sites, redis ?? 'memory')
    const b = redis === undefined ? a : await startNode(sites, redis)
    const nodes = a === b ? [a.node] : [a.node, b.node]
    return { nodes, apiPort: a.apiPort, socketPort: b.socketPort, ...dialect(secret) }
  },
}

/** Writes the site file, with the limits given, and returns its path. */
export function writeSites(secret: Buffer, limits: Record<string, number> = {}): string {
  const sites = join(directory, `sites-${++siteFiles}.json`)
  const keys = [{ kty: 'oct', kid: 'k', alg: 'HS256', k: secret.toString('base64url') }]
  writeFileSync(sites, JSON.stringify({ [SITE]: { keys, origins: [], limits } }))
  return sites
}

export interface StartedNode {
  readonly node: Child
  readonly socketPort: number
  readonly apiPort: number
  readonly adminPort: number
}

export async function startNode(
  sites: string,
  bus: string,
  flags: readonly string[] = [],
  more: Record<string, string> = {},
): Promise<StartedNode> {
  const env = {
    ...more,
    THROUGHLINE_WS_LISTEN: '127.0.0.1:0',
    THROUGHLINE_API_LISTEN: '127.0.0.1:0',
    THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0',
    THROUGHLINE_SITES: sites,
    THROUGHLINE_BUS: bus,
    THROUGHLINE_DRAIN_SECONDS: '1',
  }
  const ports = listening(['ws', 'api', 'admin'])
  const found = await Child.start(process.execPath, [...flags, CLI, 'serve'], env, ports)
  const [node, [socketPort = 0, apiPort = 0, adminPort = 0]] = found
  return { node, socketPort, apiPort, adminPort }
}

function dialect(secret: Buffer): Pick<Running, 'answer' | 'joining' | 'publishing'> {
  const authorization = `Authorization: Bearer ${sign(secret, { aud: 'throughline:api' })}\r\n`
  return {
    answer: /^\{"op":"(connected","id":1,|subscribed","id":2,(?!.*"refused"))/,
    joining(user, threads) {
      const rights = Object.fromEntries(threads.map(thread => [thread, ['read', 'presence']]))
      const token = sign(secret, { aud: 'throughline', sub: `u${user}`, threads: rights })
      return [JSON.stringify({ op: 'connect', id: 1, token }), JSON.stringify({ op: 'subscribe', id: 2, threads })]
    },
    publishing: (thread, data) =>
      post('/v1/publish', authorization, `{"to":{"thread":"${thread}"},"type":"message","data":${data}}`),
  }
}

/** Returns a JWT: signed by hand, so that the bench proves nothing with the library that it measures. */
export function sign(secret: Buffer, claims: Record<string, unknown>): string {
  const iat = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', kid: 'k' })}.${part({ iss: SITE, iat, exp: iat + TOKEN_SECONDS, ...claims })}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
