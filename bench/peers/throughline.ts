import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign as signBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Algorithm, Contestant, Running, Turn } from '../lib/contestant.ts'
import { frameOf, frameToUser, post } from '../lib/event.ts'
import { Child, listening } from '../lib/processes.ts'

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
export const SITE = 'bench'
const TOKEN_SECONDS = 3000

const directory = mkdtempSync(join(tmpdir(), 'throughline-bench-'))
let siteFiles = 0
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

/** A client of the typing storm sends as much as it can, which no site allows unless it is told to. */
const LIMITS = { frames_per_second: 1e9, frames_burst: 1e9, send_per_second: 1e9 }

/** The relay as an operator starts it: one node on the memory bus, or two nodes with Redis. */
export const throughline: Contestant = {
  name: 'Throughline',
  tryAt: 5000,
  async start(redis, algorithm = 'HS256') {
    const key = algorithm === 'HS256' ? randomBytes(32) : generateKeyPairSync('ed25519').privateKey
    const sites = writeSites(key, LIMITS)
    const a = await startNode(sites, redis ?? 'memory')
    const b = redis === undefined ? a : await startNode(sites, redis)
    const nodes = a === b ? [a.node] : [a.node, b.node]
    return { nodes, apiPort: a.apiPort, socketPort: b.socketPort, ...dialect(key) }
  },
}

/** A secret, or the private half of an Ed25519 key. */
type Key = Buffer | KeyObject

/** Writes the site file, with the limits given, and returns its path. */
export function writeSites(key: Key, limits: Record<string, number> = {}): string {
  const sites = join(directory, `sites-${++siteFiles}.json`)
  const jwk = Buffer.isBuffer(key) ? { kty: 'oct', k: key.toString('base64url') } : publicHalf(key)
  const keys = [{ ...jwk, kid: 'k', alg: algorithmOf(key) }]
  writeFileSync(sites, JSON.stringify({ [SITE]: { keys, origins: [], limits } }))
  return sites
}

function publicHalf(key: KeyObject): object {
  const { kty, crv, x } = key.export({ format: 'jwk' })
  return { kty, crv, x }
}

function algorithmOf(key: Key): Algorithm {
  return Buffer.isBuffer(key) ? 'HS256' : 'EdDSA'
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

/** What its clients and origins say. */
export function dialect(key: Key): Omit<Running, 'nodes' | 'apiPort' | 'socketPort'> {
  const authorization = `Authorization: Bearer ${sign(key, { aud: 'throughline:api' })}\r\n`
  const joining = (user: number, threads: readonly string[], more: object): Turn[] => {
    const rights = Object.fromEntries(threads.map(thread => [thread, ['read', 'send', 'presence']]))
    const token = sign(key, { aud: 'throughline', sub: userId(user), threads: rights })
    return [
      JSON.stringify({ op: 'connect', id: 1, token }),
      JSON.stringify({ op: 'subscribe', id: 2, threads, ...more }),
    ]
  }
  return {
    path: '/v1/ws',
    keepsAlive: true,
    pipelines: true,
    answer: /^\{"op":"(connected","id":1,|subscribed","id":2,(?!.*"refused"))/,
    ping: { is: '{"op":"ping"' },
    joining: (user, threads) => joining(user, threads, {}),
    joiningSeen: (user, threads) => joining(user, threads, { presence: true }),
    publishing: (thread, data) => post('/v1/publish', authorization, event(thread, data)),
    frame: frameOf,
    publishingTo(users, data) {
      const to = JSON.stringify(users.map(userId))
      return post('/v1/publish', authorization, `{"to":{"users":${to}},"type":"message","data":${data}}`)
    },
    frameTo: (_user, data) => frameToUser(data),
    publishingAll: (threads, data) =>
      post('/v1/publish/batch', authorization, `{"events":[${threads.map(thread => event(thread, data)).join()}]}`),
    sending: thread => `{"op":"send","thread":"${thread}","type":"typing","data":{}}`,
  }
}

function event(thread: string, data: string): string {
  return `{"to":{"thread":"${thread}"},"type":"message","data":${data}}`
}

function userId(user: number): string {
  return `u${user}`
}

/** Returns a JWT: signed by hand, so that the bench proves nothing with the library that it measures. */
export function sign(key: Key, claims: Record<string, unknown>): string {
  const iat = Math.floor(Date.now() / 1000)
  const head = part({ alg: algorithmOf(key), kid: 'k' })
  const text = `${head}.${part({ iss: SITE, iat, exp: iat + TOKEN_SECONDS, ...claims })}`
  const signature = Buffer.isBuffer(key)
    ? createHmac('sha256', key).update(text).digest()
    : signBytes(null, Buffer.from(text), key)
  return `${text}.${signature.toString('base64url')}`
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
