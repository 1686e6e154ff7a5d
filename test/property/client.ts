import { parseEventId, parseEventType } from '../../src/protocol/ids.ts'
import type { JsonObject } from '../../src/protocol/raw-json.ts'
import { type Cause, Follower } from '../support/follower.ts'
import { CHAINS, type Node, SITE, Socket, THREADS } from './node.ts'

const TYPE = parseEventType('m')!
const DATA = Buffer.from('0')
const nothing = (): void => {}

export class Client {
  readonly name: string
  readonly shown = new Map(CHAINS.map(chain => [chain, new Set<string>()]))
  readonly questions: Record<Cause, number> = { new: 0, behind: 0, gap: 0, prev: 0, again: 0 }
  needless = 0
  /** What came in a place where it should not, if anything did. */
  misplaced: string | undefined
  /** The last stamp or head that came over this connection. */
  readonly #last = new Map<string, number>()
  socket: Socket | undefined
  /** Questions on their way, with the answers that the origin gives. */
  readonly answers = new Map<string, readonly string[]>()
  readonly follower: Follower
  readonly #origin: Origin
  readonly #steps: string[]

  constructor(name: string, origin: Origin, steps: string[]) {
    this.name = name
    this.#origin = origin
    this.#steps = steps
    // When a question that waits is sent is for the script to say.
    this.follower = new Follower(nothing, (chain, id) => void this.shown.get(chain)!.add(id))
  }

  connect(node: Node): void {
    this.drop()
    this.socket = new Socket(node)
    const since = CHAINS.flatMap(chain => {
      const stamp = this.follower.since(chain)
      return stamp === undefined ? [] : [[chain, stamp]]
    })
    this.#steps.push(`  client ${this.name} says since ${JSON.stringify(since)}`)
    void this.socket.subscribe(Object.fromEntries(since) as JsonObject)
  }

  drop(): void {
    this.socket?.close()
    this.socket = undefined
    this.follower.lost()
  }

  read(count: number): void {
    if (this.socket?.open === false) this.drop()
    for (const text of this.socket?.inbox.splice(0, count) ?? []) {
      this.#steps.push(`  client ${this.name} reads ${text}`)
      const frame: any = JSON.parse(text)
      if (frame.op === 'event') {
        this.#judge(frame.chain, frame.stamp)
        this.follower.event(frame)
      } else if (frame.op === 'gap') {
        this.#raise(frame.chains)
        this.follower.gap(frame.chains, frame.within)
      } else if (frame.op === 'subscribed') {
        this.#last.clear()
        // While its bus is down a node may only repeat what the client said: that promises nothing.
        const heads = Object.entries<any>(frame.chains).map(([chain, { head, state }]) => {
          return [chain, state === 'behind' && head === this.follower.since(chain) ? 0 : head] as const
        })
        this.#raise(Object.fromEntries(heads))
        this.follower.joined(frame.chains)
      }
    }
  }

  /** On one connection no event comes twice, and none too early. */
  #judge(chain: string, stamp: number): void {
    if (!(stamp > this.#last.get(chain)!))
      this.misplaced ??= `client ${this.name} is sent ${stamp} in ${chain} too late`
    this.#last.set(chain, stamp)
  }

  #raise(heads: Record<string, number>): void {
    for (const [chain, head] of Object.entries(heads)) {
      this.#last.set(chain, Math.max(head, this.#last.get(chain) ?? 0))
    }
  }

  ask(): void {
    for (const chain of CHAINS) {
      if (!this.follower.waits(chain)) continue
      const { after, cause } = this.follower.ask(chain)
      this.questions[cause]++
      this.#steps.push(`  client ${this.name} asks for ${chain} after ${after}: ${cause}`)
      // The earliest moment at which an origin can look.
      this.answers.set(chain, this.#origin.saved.get(chain)!.slice(after))
    }
  }

  hear(fails: boolean): void {
    for (const [chain, ids] of this.answers) {
      if (fails) this.follower.failed(chain, 0)
      else {
        if (ids.every(id => this.shown.get(chain)!.has(id))) this.needless++
        this.follower.answered(chain, ids)
      }
    }
    this.answers.clear()
  }

  /** Returns what is wrong with a chain, if anything: the third thing, or that it never came to rest. */
  wrong(chain: string): string | undefined {
    const missing = this.#origin.saved.get(chain)!.filter(id => !this.shown.get(chain)!.has(id))
    if (!this.follower.trusts(chain)) return `client ${this.name} still has a question about ${chain}`
    if (missing.length > 0) return `client ${this.name} takes ${chain} for whole and lacks ${missing.join(' ')}`
    return undefined
  }
}

/** Saves first, then publishes, in order and until it is answered. */
export class Origin {
  readonly saved = new Map<string, string[]>(CHAINS.map(chain => [chain, []]))
  readonly #published = new Map(CHAINS.map(chain => [chain, 0]))
  readonly #busy = new Set<string>()
  readonly #steps: string[]

  constructor(steps: string[]) {
    this.#steps = steps
  }

  save(chain: string): void {
    const saved = this.saved.get(chain)!
    saved.push(`${chain}.${saved.length + 1}`)
  }

  get done(): boolean {
    return CHAINS.every(chain => this.#published.get(chain) === this.saved.get(chain)!.length)
  }

  publish(chain: string, node: Node): void {
    const next = this.saved.get(chain)![this.#published.get(chain)!]
    if (next === undefined || this.#busy.has(chain)) return
    this.#busy.add(chain)
    const thread = THREADS[CHAINS.indexOf(chain)]!
    const nobody = { except: undefined, receiptTo: undefined }
    const event = { id: parseEventId(next)!, type: TYPE, thread, data: DATA, ephemeral: false, ...nobody }
    Promise.resolve(node.hub.publish(SITE, { to: { thread }, ...event }))
      .then(({ placed }) => {
        this.#steps.push(`  published ${next}: ${JSON.stringify(placed)}`)
        this.#published.set(chain, this.#published.get(chain)! + 1)
      }, nothing)
      .finally(() => this.#busy.delete(chain))
      .catch(nothing)
  }
}
