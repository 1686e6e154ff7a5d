import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

export const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

/** What a test registers its ends with: tap's `t`. */
export interface Teardown {
  teardown(end: () => unknown): void
}

/** A site with a secret of its own, as its origin knows it. */
export class Site {
  readonly id: string
  readonly #secret: Buffer

  constructor(id: string, secret: Buffer = randomBytes(32)) {
    this.id = id
    this.#secret = secret
  }

  /** Its entry in the site file. */
  entry(more: object = {}): object {
    const key = { kty: 'oct', kid: 'k1', alg: 'HS256', k: this.#secret.toString('base64url') }
    return { [this.id]: { keys: [key], origins: ['https://example.com'], ...more } }
  }

  user(sub: string, threads: Record<string, string[]> = {}, claims: object = {}): string {
    const now = Math.floor(Date.now() / 1000)
    return this.sign({ iss: this.id, aud: 'throughline', sub, iat: now, exp: now + 3600, threads, ...claims })
  }

  server(claims: object = {}): string {
    const now = Math.floor(Date.now() / 1000)
    return this.sign({ iss: this.id, aud: 'throughline:api', iat: now, exp: now + 600, ...claims })
  }

  sign(claims: object, header: object = { alg: 'HS256' }): string {
    const text = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${text}.${createHmac('sha256', this.#secret).update(text).digest('base64url')}`
  }
}

/** Where clients and origins come in: a node, or what stands before several. */
export interface Entrance {
  readonly ws: string
  readonly api: string
}

export interface Relay extends Entrance {
  readonly pid: number
  readonly admin: string
  readonly sitesFile: string
  /** What it has logged so far, one line each. */
  readonly log: readonly string[]
  readonly exit: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

/** Starts a relay as a process of its own, on free ports of loopback; it ends with the test. `cli` may be another version. */
export async function startRelay(
  t: Teardown,
  sites: object,
  environment: Record<string, string> = {},
  cli = CLI,
): Promise<Relay> {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const sitesFile = join(folder, 'sites.json')
  writeFileSync(sitesFile, JSON.stringify(sites))
  const child = spawn(process.execPath, [cli, 'serve'], {
    env: {
      PATH: process.env['PATH'],
      THROUGHLINE_WS_LISTEN: '127.0.0.1:0',
      THROUGHLINE_API_LISTEN: '127.0.0.1:0',
      THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0',
      THROUGHLINE_SITES: sitesFile,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise<number | null>(resolve => {
    child.once('exit', resolve)
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const log = linesOf(child)
  await until(() => log.some(line => line.includes('"port":"ws"')), {
    what: () => `a relay that listens; it said:\n${log.join('\n')}`,
  })
  const address = (port: string): string =>
    log.map(line => JSON.parse(line) as { port?: string; address: string }).find(entry => entry.port === port)!.address
  return {
    pid: child.pid!,
    ws: `ws://${address('ws')}/v1/ws`,
    api: `http://${address('api')}`,
    admin: `http://${address('admin')}`,
    sitesFile,
    log,
    exit,
    kill: signal => child.kill(signal),
  }
}

/** Starts a relay that is to end by itself, with nothing in its environment but what is given. */
export async function serve(environment: Record<string, string>): Promise<{ exit: number; stderr: string }> {
  const child = spawn(process.execPath, [CLI, 'serve'], { env: { PATH: process.env['PATH'], ...environment } })
  let stderr = ''
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString()
  })
  const [exit] = (await once(child, 'close')) as [number]
  return { exit, stderr }
}

function linesOf(child: ChildProcess): string[] {
  const lines: string[] = []
  for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', line => lines.push(line))
  return lines
}

/** Calls the API as the site's origin does. A string body is sent as it is. */
export async function call(
  relay: Pick<Entrance, 'api'>,
  token: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: any }> {
  const response = await fetch(relay.api + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

export async function metric(relay: Relay, name: string): Promise<number> {
  const text = await (await fetch(`${relay.admin}/metrics`)).text()
  const line = text.split('\n').find(line => line.startsWith(`throughline_${name} `))
  return line === undefined ? 0 : Number(line.split(' ')[1])
}
