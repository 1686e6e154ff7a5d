import { WebSocket } from 'ws'
import { type Cause, Follower } from './follower.ts'
import type { Frame } from './client.ts'
import type { Origin } from './origin.ts'
import type { Chance } from './random.ts'
import type { Entrance } from './relay.ts'

const FINAL = new Set([4401, 4403, 4410])
const BACKOFF = { first: 1000, growth: 1.5, most: 20_000 }
/** Milliseconds after which a connection that stayed open makes the next attempt a first one again. */
const SETTLED = 60_000

export interface CheckingClientOptions {
  readonly user: string
  readonly token: string
  readonly threads: readonly string[]
  /** Names the nodes that are up now, as a load balancer knows them. */
  readonly nodes: () => readonly Entrance[]
  readonly origin: Origin
  readonly chance: Chance
}

/** One WebSocket of a client, and what the relay promised for it: no event twice, none too early, each chain in order. */
class Line {
  readonly node: Entrance
  readonly socket: WebSocket
  readonly opened = performance.now()
  readonly joined = new Set<string>()
  readonly #last = new Map<string, number>()
  /** That the relay asked to leave it, so that its end is no drop. */
  leaving = false

  constructor(node: Entrance) {
    this.node = node
    this.socket = new WebSocket(node.ws, ['throughline.v1'], { perMessageDeflate: false })
    this.socket.on('error', () => {
      // 'close' follows.
    })
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame))
  }

  raise(chain: string, head: number): void {
    if (head > (this.#last.get(chain) ?? 0)) this.#last.set(chain, head)
  }

  /** Returns what is wrong with the place of an event, if anything. */
  judge({ chain, stamp }: Frame): 'doubled' | 'unordered' | undefined {
    const last = this.#last.get(chain as string)
    if (last === undefined) return 'unordered'
    if (stamp <= last) return stamp === last ? 'doubled' : 'unordered'
    this.#last.set(chain as string, stamp as number)
    return undefined
  }
}

/**
 * A client that does what docs/protocol.md says, no more, and keeps an account of it. It does not poll while the bus is
 * down: that would find what the relay forgot to tell of.
 */
export class CheckingClient {
  readonly user: string
  readonly chains: readonly string[]
  readonly counts = { received: 0, fetched: 0, doubled: 0, unordered: 0, dropped: 0 }
  readonly questions: Record<Cause, number> = { new: 0, behind: 0, gap: 0, prev: 0, again: 0 }
  /** Questions, by cause, to which the answer held nothing new. */
  readonly needless: Record<Cause, number> = { new: 0, behind: 0, gap: 0, prev: 0, again: 0 }
  /** What no relay should do: a test wants none. */
  readonly faults: string[] = []
  /** Each `status` as it came. */
  readonly statuses: string[] = []
  readonly #options: CheckingClientOptions
  readonly #follower: Follower
  readonly #shown = new Map<string, Set<string>>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #line: Line | undefined
  #attempt = 0
  #awake = false

  constructor(options: CheckingClientOptions) {
    this.user = options.user
    this.chains = ['user', 'site', ...options.threads.map(thread => `thread:${thread}`)]
    this.#options = options
    this.#follower = new Follower(
      (chain, within) => this.#later(chain, () => this.#ask(chain), options.chance.part() * within),
      (chain, id, by) => {
        this.#seen(chain).add(id)
        this.counts[by === 'event' ? 'received' : 'fetched']++
      },
    )
  }

  /** The node that it is connected to. */
  get node(): Entrance | undefined {
    return this.#line?.node
  }

  /** Whether it is connected and asked nothing that is not answered. */
  get quiet(): boolean {
    const line = this.#line
    return this.chains.every(chain => line?.joined.has(chain) && this.#follower.trusts(chain))
  }

  /** Returns the ids that its origin has saved for it and that it has not shown. */
  missing(): string[] {
    return this.chains.flatMap(chain =>
      this.#options.origin.saved(this.#named(chain)).filter(id => !this.#seen(chain).has(id)),
    )
  }

  connect(): void {
    this.#awake = true
    this.#open()
  }

  /** Goes away, as a page that is put to sleep; `connect` wakes it. Without a close frame if `abrupt`. */
  leave(abrupt = false): void {
    this.#awake = false
    const line = this.#line
    this.#lose()
    if (abrupt) line?.socket.terminate()
    else line?.socket.close()
  }

  #open(before?: Line): void {
    const nodes = this.#options.nodes().filter(node => node !== before?.node)
    if (nodes.length === 0) {
      this.#retry()
      return
    }
    const line = new Line(this.#options.chance.pick(nodes))
    if (before === undefined) this.#line = line
    line.socket.on('open', () => this.#greet(line))
    line.socket.on('message', (text: Buffer) => this.#receive(line, JSON.parse(text.toString()) as Frame, before))
    line.socket.on('close', (code: number) => this.#closed(line, code))
  }

  #greet(line: Line): void {
    const since = (chains: readonly string[]): object =>
      Object.fromEntries(chains.map(chain => [chain, this.#follower.since(chain)]))
    const { token, threads } = this.#options
    line.send({ op: 'connect', id: 1, token, since: since(this.chains.slice(0, 2)) })
    if (threads.length > 0) line.send({ op: 'subscribe', id: 2, threads, since: since(this.chains.slice(2)) })
  }

  #receive(line: Line, frame: Frame, before: Line | undefined): void {
    switch (frame.op) {
      case 'connected':
      case 'subscribed':
        for (const [chain, { head }] of Object.entries<any>(frame['chains'])) {
          line.joined.add(chain)
          line.raise(chain, head as number)
        }
        this.#follower.joined(frame['chains'])
        if (frame['refused'] !== undefined) this.faults.push(`refused: ${JSON.stringify(frame['refused'])}`)
        if (line !== this.#line && this.chains.every(chain => line.joined.has(chain))) {
          this.#line = line
          this.#cancel('retry')
          before?.socket.close()
        }
        break
      case 'event': {
        if (frame['chain'] === undefined) break
        const wrong = line.judge(frame)
        if (wrong !== undefined) this.counts[wrong]++
        this.#follower.event(frame as any)
        break
      }
      case 'gap':
        for (const [chain, head] of Object.entries<any>(frame['chains'])) line.raise(chain, head as number)
        this.#follower.gap(frame['chains'], frame['within'])
        break
      case 'status':
        this.statuses.push(frame['bus'])
        break
      case 'drain':
        line.leaving = true
        this.#later('drain', () => this.#open(line), this.#options.chance.part() * frame['within'])
        break
      case 'error':
        if (frame['code'] !== 'draining') this.faults.push(`error ${frame['code']}: ${frame['message']}`)
    }
  }

  #closed(line: Line, code: number): void {
    if (FINAL.has(code)) this.faults.push(`closed with ${code}`)
    if (line !== this.#line) return
    const settled = performance.now() - line.opened >= SETTLED
    if (line.joined.size > 0 && !line.leaving) this.counts.dropped++
    this.#lose()
    if (settled) this.#attempt = 0
    this.#retry()
  }

  #lose(): void {
    this.#line = undefined
    this.#follower.lost()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  #retry(): void {
    if (!this.#awake) return
    const most = Math.min(BACKOFF.first * BACKOFF.growth ** this.#attempt++, BACKOFF.most)
    this.#later('retry', () => this.#open(), (most / 2) * (1 + this.#options.chance.part()))
  }

  async #ask(chain: string): Promise<void> {
    if (!this.#follower.waits(chain)) return
    const { after, cause } = this.#follower.ask(chain)
    this.questions[cause]++
    const ids = await this.#options.origin.after(this.#named(chain), after)
    if (ids.every(id => this.#seen(chain).has(id))) this.needless[cause]++
    this.#follower.answered(chain, ids)
  }

  #later(what: string, then: () => unknown, ms: number): void {
    this.#cancel(what)
    this.#timers.set(what, setTimeout(then, ms))
  }

  #cancel(what: string): void {
    clearTimeout(this.#timers.get(what))
    this.#timers.delete(what)
  }

  /** The chain's name at the origin. */
  #named(chain: string): string {
    return chain === 'user' ? `user:${this.user}` : chain
  }

  #seen(chain: string): Set<string> {
    let seen = this.#shown.get(chain)
    if (seen === undefined) this.#shown.set(chain, (seen = new Set()))
    return seen
  }
}
