/**
 * What a page has of each chain, and what it lacks: "What a client must do" of docs/protocol.md, for a client that
 * shows every chain in order. So live events of a chain that lacks something wait until the answer has come. Pure.
 */
import { type RelayEvent, toEvent } from './events.ts'
import type { ChainEntry, EventFrame } from './frames.ts'
import type { FetchedEvent, Place } from './port.ts'

/** An event with a place in a chain; with `shared` an `own` one may be another tab's. */
export type ChainEvent = EventFrame & { readonly shared?: boolean }

const REMEMBERED_IDS = 256
const SAW_IDS = 1000
const MOST_WAITING = 1000

interface Chain {
  /** Stamp and id of the event up to which the page has everything. */
  last: number | undefined
  lastId: string | undefined
  /** Whether the relay has told where this chain stands, on this connection. */
  joined: boolean
  /** There while the hub has a question about it: up to which stamp the answer will reach. */
  asked: { due: number | undefined; sent: boolean } | undefined
  /** More was missed after the question had been sent. */
  again: { due: number; within: number } | undefined
  waiting: ChainEvent[]
  readonly seen: Set<string>
}

export interface ChainsOptions {
  /** Is given each event once, in the order of its chain. */
  readonly give: (event: RelayEvent) => void
  /** Is to ask for what came after these places, within so many milliseconds. */
  readonly ask: (chains: Record<string, Place>, within: number, poll: boolean) => void
}

export class Chains {
  readonly #give: ChainsOptions['give']
  readonly #post: ChainsOptions['ask']
  readonly #chains = new Map<string, Chain>()
  readonly #saw = new Set<string>()

  constructor({ give, ask }: ChainsOptions) {
    this.#give = give
    this.#post = ask
  }

  follow(name: string, since?: number): void {
    const none = { lastId: undefined, joined: false, asked: undefined, again: undefined }
    this.#chains.set(name, { last: since, ...none, waiting: [], seen: new Set() })
  }

  leave(name: string): void {
    this.#chains.delete(name)
  }

  since(): Record<string, number> {
    return Object.fromEntries(
      [...this.#chains].flatMap(([name, { last }]) => (last === undefined ? [] : [[name, last]])),
    )
  }

  /** The page shows this event already. */
  saw(id: string): void {
    this.#saw.add(id)
    trim(this.#saw, SAW_IDS)
  }

  get isJoined(): boolean {
    return this.#every(chain => chain.joined)
  }

  get isWhole(): boolean {
    return this.#every(chain => !chain.asked)
  }

  /** The connection is lost: where chains stand is told anew. */
  lost(): void {
    for (const chain of this.#chains.values()) chain.joined = false
  }

  /** The relay sends no more of this chain, until it tells where it stands again. */
  out(name: string): void {
    const chain = this.#chains.get(name)
    if (chain) chain.joined = true
  }

  /** Another hub is there, which knows of no question. */
  reopened(): void {
    this.lost()
    for (const [name, chain] of this.#chains) {
      if (!chain.asked) continue
      chain.asked.sent = false
      this.#send({ [name]: chain }, 0)
    }
  }

  /** `connected` or `subscribed`. */
  joined(entries: Readonly<Record<string, ChainEntry>>): void {
    const behind: Record<string, Chain> = {}
    let soonest = Infinity
    for (const [name, { head, state, within = 0 }] of Object.entries(entries)) {
      const chain = this.#chains.get(name)
      if (!chain) continue
      // One that this connection follows already is as far as its last event, whatever was on its way.
      const isWhole = chain.last === head && (chain.joined || state === 'current')
      chain.joined = true
      if (isWhole || !lacks(chain, head, within)) continue
      behind[name] = chain
      soonest = Math.min(soonest, within)
    }
    this.#send(behind, soonest)
  }

  gap(heads: Readonly<Record<string, number>>, within: number): void {
    const behind: Record<string, Chain> = {}
    for (const [name, head] of Object.entries(heads)) {
      const chain = this.#chains.get(name)
      if (chain && lacks(chain, head, within)) behind[name] = chain
    }
    this.#send(behind, within)
  }

  event(event: ChainEvent): void {
    const chain = this.#chains.get(event.chain!)
    if (!chain) return
    this.#take(chain, event)
    trim(chain.seen, REMEMBERED_IDS)
  }

  /** It is time to ask for every chain about which there is no question. */
  poll(): void {
    const all: Record<string, Chain> = {}
    for (const [name, chain] of this.#chains) {
      if (chain.asked) continue
      chain.asked = { due: chain.last, sent: false }
      all[name] = chain
    }
    this.#send(all, 0, true)
  }

  /** The question is being sent: its answer will have what is missing until now. */
  asking(names: readonly string[]): void {
    for (const name of names) {
      const chain = this.#chains.get(name)
      if (!chain?.asked) continue
      chain.asked = { due: chain.again ? chain.again.due : chain.asked.due, sent: true }
      chain.again = undefined
    }
  }

  /** The answer to the question about `name`; undefined if a poll got none. */
  fetched(name: string, events: readonly FetchedEvent[] | undefined): void {
    const chain = this.#chains.get(name)
    if (!chain?.asked) return
    let { due } = chain.asked
    for (const event of events ?? []) {
      this.#show(chain, event, name)
      chain.lastId = String(event.id)
      // The origin knew this stamp when it answered, so the answer has all that came before it.
      if (typeof event.stamp === 'number') due = Math.max(due ?? 0, event.stamp)
    }
    chain.last = due
    chain.asked = undefined
    const { waiting, again } = chain
    chain.waiting = []
    if (again) {
      chain.again = undefined
      lacks(chain, again.due, again.within)
      chain.waiting = waiting
      this.#send({ [name]: chain }, again.within)
    } else {
      for (const event of waiting) {
        if (!chain.asked && due !== undefined && event.stamp! <= due) this.#show(chain, event)
        else this.#take(chain, event)
      }
    }
    // An origin may answer with more than it was asked for, each time again.
    trim(chain.seen, Math.max(REMEMBERED_IDS, events?.length ?? 0))
  }

  #take(chain: Chain, event: ChainEvent): void {
    const stamp = event.stamp!
    if (chain.asked) {
      chain.waiting.push(event)
      if (chain.waiting.length > MOST_WAITING) {
        chain.waiting = []
        chain.again = { due: stamp, within: 0 }
      }
    } else if (chain.last !== undefined && stamp <= chain.last) {
      // It came before, over another connection.
    } else if (event.prev !== chain.last || (event.own && event.shared && !this.#saw.has(event.id))) {
      lacks(chain, stamp, 0)
      chain.waiting.push(event)
      this.#send({ [event.chain!]: chain }, 0)
    } else {
      chain.last = stamp
      chain.lastId = event.id
      this.#show(chain, event)
    }
  }

  #show(chain: Chain, event: ChainEvent | FetchedEvent, fetchedOf?: string): void {
    const id = String(event.id)
    if (chain.seen.has(id)) return
    chain.seen.add(id)
    if (this.#saw.has(id) || ('own' in event && event.own)) return
    this.#give(fetchedOf === undefined ? toEvent(event, 'live') : toEvent(event, 'fetched', fetchedOf))
  }

  #send(chains: Record<string, Chain>, within: number, poll = false): void {
    const places = Object.entries(chains).map(([name, { last, lastId }]): [string, Place] => [
      name,
      { ...(lastId !== undefined && { after: lastId }), ...(last !== undefined && { stamp: last }) },
    ])
    if (places.length > 0) this.#post(Object.fromEntries(places), within, poll)
  }

  #every(test: (chain: Chain) => boolean): boolean {
    return [...this.#chains.values()].every(test)
  }
}

/** Notes that a chain lacks something up to `due`. Returns whether a question is to be sent, now that none is on its way. */
function lacks(chain: Chain, due: number, within: number): boolean {
  if (chain.asked?.sent) chain.again = { due, within }
  else chain.asked = { due, sent: false }
  return !chain.asked.sent
}

/** Forgets the oldest. */
function trim(ids: Set<string>, most: number): void {
  for (const id of ids) {
    if (ids.size <= most) break
    ids.delete(id)
  }
}
