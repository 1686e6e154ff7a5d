/**
 * Sites' own servers, in a process of their own: each on an address of its own within 127.0.0.0/8, so that to the relay they
 * are as many origins. Told what to do by its parent, see `Origins`.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { quantile } from '../lib/statistics.ts'

/** Well: answers after 20 ms. Refusing: nothing listens. Silent: takes the request, and that is all. Slow: answers after 10 s. */
export type Kind = 'well' | 'refusing' | 'silent' | 'slow'
const AFTER_MS = { well: 20, slow: 10_000 } as const

type Order = { readonly open: readonly Kind[] } | 'clear' | 'down' | 'up' | 'report'

export interface Report {
  readonly requests: number
  readonly events: number
  /** Events that came again. */
  readonly repeats: number
  /** Milliseconds from being sent by a client to arriving at an origin that is well. */
  readonly p50: number
  readonly p99: number
  readonly most: number
  /** What was told of each state, such as `user 7`, in its order. */
  readonly states: Readonly<Record<string, readonly string[]>>
}

/** The parent's end. */
export class Origins {
  readonly #child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(kinds: readonly Kind[]): Promise<Origins> {
    const child = fork(fileURLToPath(import.meta.url), ['origins'])
    process.on('exit', () => child.kill('SIGKILL'))
    const port = await ask(child, { open: kinds })
    return new Origins(child, port as number)
  }

  /** Returns the callback URL of a site. */
  url(site: number): string {
    return `http://${addressOf(site)}:${this.port}/callback`
  }

  async tell(order: 'clear' | 'down' | 'up'): Promise<void> {
    await ask(this.#child, order)
  }

  async report(): Promise<Report> {
    return (await ask(this.#child, 'report')) as Report
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }
}

function ask(child: ChildProcess, order: Order): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error('the origins ended')))
    child.send(order)
  })
}

export function addressOf(site: number): string {
  return `127.1.${site >> 8}.${site & 255}`
}

/** Milliseconds since the epoch, with a fraction. */
export const nowMs = (): number => performance.timeOrigin + performance.now()

class Crowd {
  #servers: Server[] = []
  #kinds: readonly Kind[] = []
  #port = 0
  #requests = 0
  #repeats = 0
  #times: number[] = []
  #ids = new Set<string>()
  #states: Record<string, string[]> = {}

  async open(kinds: readonly Kind[]): Promise<number> {
    this.#kinds = kinds
    for (const [site, kind] of kinds.entries()) {
      if (kind === 'refusing') continue
      const server = createServer((request, response) => this.#take(kind, request, response))
      await new Promise<void>(resolve => server.listen(this.#port, addressOf(site), resolve))
      this.#port ||= (server.address() as AddressInfo).port
      this.#servers.push(server)
    }
    return this.#port
  }

  async obey(order: Order): Promise<unknown> {
    if (typeof order === 'object') return this.open(order.open)
    if (order === 'up') return this.open(this.#kinds)
    if (order === 'report') return this.#report()
    if (order === 'clear') {
      this.#requests = this.#repeats = 0
      this.#times = []
      this.#ids = new Set()
      this.#states = {}
      return true
    }
    for (const server of this.#servers.splice(0)) {
      server.close()
      server.closeAllConnections()
    }
    return true
  }

  #take(kind: Kind, request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (kind !== 'silent') setTimeout(() => response.writeHead(204).end(), AFTER_MS[kind as 'well' | 'slow'])
      this.#requests++
      if (kind === 'well') this.#note(Buffer.concat(parts).toString())
    })
  }

  #note(body: string): void {
    const now = nowMs()
    const { events } = JSON.parse(body) as {
      events: { id: string; type: string; user?: string; thread?: string; data?: unknown }[]
    }
    for (const { id, type, user, thread, data } of events) {
      if (this.#ids.has(id)) this.#repeats++
      this.#ids.add(id)
      if (typeof data === 'number') this.#times.push(now - data)
      const name = /^(user|thread)\./.exec(type)?.[1]
      if (name !== undefined) (this.#states[`${name} ${user ?? thread}`] ??= []).push(type.slice(name.length + 1))
    }
  }

  #report(): Report {
    const sorted = this.#times.toSorted((a, b) => a - b)
    return {
      requests: this.#requests,
      events: this.#ids.size,
      repeats: this.#repeats,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      most: sorted.at(-1) ?? Number.NaN,
      states: this.#states,
    }
  }
}

if (process.argv[2] === 'origins' && process.send !== undefined) {
  const crowd = new Crowd()
  process.on('message', (order: Order) => void crowd.obey(order).then(answer => process.send!(answer)))
  process.on('disconnect', () => process.exit())
}
