/**
 * What docs/protocol.md asks of a client under "What a client must do", line by line and without I/O: the checking
 * client drives it over sockets, the property test in virtual time.
 */

/** An event as far as the rules care. */
export interface ChainEvent {
  readonly chain: string
  readonly stamp: number
  readonly prev: number
  readonly id: string
}

/** A chain's entry in `connected` and `subscribed`. */
export interface ChainEntry {
  readonly head: number
  readonly state: string
  readonly within?: number
}

/** What the relay said that made the client ask; `again` is a question that failed before. */
export type Cause = 'new' | 'behind' | 'gap' | 'prev' | 'again'

/** An event that was shown. */
export type Shown = (chain: string, id: string, by: 'event' | 'answer') => void

interface Chain {
  last: number | undefined
  due: number | undefined
  cause: Cause
  /** The origin's number of the newest event that was whole: what the origin is asked with. */
  whole: number
  /** There while a question is on its way. */
  asked: { readonly last: number | undefined; readonly whole: number } | undefined
  readonly seen: Set<string>
}

export class Follower {
  readonly #chains = new Map<string, Chain>()
  readonly #shown: Shown
  readonly #wants: (chain: string, within: number) => void

  /** `wants` is told that a question waits, and is to be sent, with `ask`, at a random moment within so many milliseconds. */
  constructor(wants: (chain: string, within: number) => void, shown: Shown) {
    this.#wants = wants
    this.#shown = shown
  }

  /** `connected` or `subscribed`. */
  joined(chains: Record<string, ChainEntry>): void {
    for (const [name, { head, state, within }] of Object.entries(chains)) {
      const chain = this.#chain(name)
      chain.due = undefined
      if (state === 'current') chain.last = head
      else this.#ask(name, head, within ?? 0, state === 'new' ? 'new' : 'behind')
    }
  }

  gap(chains: Record<string, number>, within: number): void {
    for (const [name, head] of Object.entries(chains)) this.#ask(name, head, within, 'gap')
  }

  event(event: ChainEvent): void {
    const chain = this.#chain(event.chain)
    if (chain.due !== undefined) {
      chain.due = Math.max(chain.due, event.stamp)
      this.#show(event.chain, event.id, 'event')
    } else if (event.stamp <= (chain.last ?? 0)) {
      // Came before, over another connection.
    } else if (event.prev !== chain.last) {
      this.#ask(event.chain, event.stamp, 0, 'prev')
      this.#show(event.chain, event.id, 'event')
    } else {
      chain.last = event.stamp
      chain.whole = Math.max(chain.whole, numberOf(event.id))
      this.#show(event.chain, event.id, 'event')
    }
  }

  /** The connection was lost: questions that wait are forgotten, those on their way are not. */
  lost(): void {
    for (const chain of this.#chains.values()) chain.due = undefined
  }

  since(chain: string): number | undefined {
    return this.#chains.get(chain)?.last
  }

  /** Whether a question waits that can be sent: one at a time. */
  waits(name: string): boolean {
    const chain = this.#chain(name)
    return chain.due !== undefined && chain.asked === undefined
  }

  /** Whether the client takes this chain for whole. */
  trusts(name: string): boolean {
    const chain = this.#chain(name)
    return chain.last !== undefined && chain.due === undefined && chain.asked === undefined
  }

  /** Sends the question. Returns why it is asked, and the number of the event after which the origin is to tell all. */
  ask(name: string): { readonly after: number; readonly cause: Cause } {
    const chain = this.#chain(name)
    chain.asked = { last: chain.last, whole: chain.whole }
    chain.last = chain.due
    chain.due = undefined
    return { after: chain.whole, cause: chain.cause }
  }

  answered(name: string, ids: readonly string[]): void {
    const chain = this.#chain(name)
    chain.asked = undefined
    for (const id of ids) {
      chain.whole = Math.max(chain.whole, numberOf(id))
      this.#show(name, id, 'answer')
    }
    if (chain.due !== undefined) this.#wants(name, 0)
  }

  /** The question got no answer: it is asked again, within so many milliseconds. */
  failed(name: string, within: number): void {
    const chain = this.#chain(name)
    const { last, whole } = chain.asked!
    chain.asked = undefined
    chain.due = Math.max(chain.due ?? 0, chain.last ?? 0)
    chain.cause = 'again'
    chain.last = last
    chain.whole = whole
    this.#wants(name, within)
  }

  #ask(name: string, stamp: number, within: number, cause: Cause): void {
    const chain = this.#chain(name)
    const waits = chain.due !== undefined
    chain.due = Math.max(chain.due ?? 0, stamp)
    if (waits) return
    chain.cause = cause
    // Else it is asked when the answer to the one before has come.
    if (chain.asked === undefined) this.#wants(name, within)
  }

  #show(name: string, id: string, by: 'event' | 'answer'): void {
    const { seen } = this.#chain(name)
    if (seen.has(id)) return
    seen.add(id)
    this.#shown(name, id, by)
  }

  #chain(name: string): Chain {
    let chain = this.#chains.get(name)
    if (chain === undefined) {
      chain = { last: undefined, due: undefined, cause: 'new', whole: 0, asked: undefined, seen: new Set() }
      this.#chains.set(name, chain)
    }
    return chain
  }
}

/** Returns the number that the origin gave an event: its ids are `chain.1`, `chain.2`, … in the order of saving. */
export function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1))
}
