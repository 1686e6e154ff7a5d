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
  isJoined: boolean
  /** There while the hub has a question about it: up to which stamp the answer will reach. */
  asked: { due: number | undefined; isSent: boolean } | undefined
  /** More was missed after the question had been sent: up to this stamp. */
  again: number | undefined
  waiting: ChainEvent[]
  readonly seen: Set<string>
}

export interface Chains {
  follow: (name: string, since: number | undefined) => void
  leave: (name: string) => void
  since: () => Record<string, number>
  /** The page shows this event already. */
  saw: (id: string) => void
  /** Whether the relay has told of every chain where it stands, and nothing is missing. */
  isWhole: () => boolean
  /** The connection is lost: where chains stand is told anew. */
  lost: () => void
  /** The relay sends no more of this chain, until it tells where it stands again. */
  out: (name: string) => void
  /** Another hub is there, which knows of no question. */
  reopened: () => void
  /** `connected` or `subscribed`. */
  joined: (entries: Readonly<Record<string, ChainEntry>>) => void
  gap: (heads: Readonly<Record<string, number>>, within: number) => void
  event: (event: ChainEvent) => void
  /** It is time to ask for every chain about which there is no question. */
  poll: () => void
  /** The question is being sent: its answer will have what is missing until now. */
  asking: (places: Readonly<Record<string, Place>>) => void
  /** The answer to the question about a chain; undefined if a poll got none. */
  fetched: (name: string, events: readonly FetchedEvent[] | undefined) => void
}

/**
 * `give` is given each event once, in the order of its chain. `ask` is to ask for what came after these places, within
 * so many milliseconds. `confirm` gets the receipt of each live event that the page has now.
 */
export function createChains(
  give: (event: RelayEvent) => void,
  ask: (chains: Record<string, Place>, within: number, isPoll: boolean) => void,
  confirm: (receipt: string | undefined) => void,
): Chains {
  const chains = new Map<string, Chain>()
  const saw = new Set<string>()

  const send = (names: readonly string[], within: number, isPoll = false): void => {
    const places: Record<string, Place> = {}
    for (const name of names) {
      const { last, lastId } = chains.get(name)!
      places[name] = { after: lastId, stamp: last }
    }
    if (names.length > 0) ask(places, within, isPoll)
  }

  /** Asks for those of the chains that lack something up to these stamps, unless a question is on its way. */
  const lack = (due: readonly (readonly [string, number])[], within: number): void =>
    send(
      due.flatMap(([name, stamp]) => {
        const chain = chains.get(name)
        if (chain?.asked?.isSent) chain.again = stamp
        else if (chain) {
          chain.asked = { due: stamp, isSent: false }
          return name
        }
        return []
      }),
      within,
    )

  const show = (chain: Chain, event: ChainEvent | FetchedEvent, fetchedOf?: string): void => {
    const id = String(event.id)
    confirm((event as ChainEvent).receipt)
    if (chain.seen.has(id)) return
    chain.seen.add(id)
    if (saw.has(id) || (event as ChainEvent).own) return
    give(toEvent(event, fetchedOf ? 'fetched' : 'live', fetchedOf))
  }

  const take = (chain: Chain, event: ChainEvent): void => {
    const stamp = event.stamp!
    if (chain.asked) {
      chain.waiting.push(event)
      if (chain.waiting.length > MOST_WAITING) {
        chain.waiting = []
        chain.again = stamp
      }
    } else if (stamp <= chain.last!) {
      // It came before, over another connection.
    } else if (event.prev !== chain.last || (event.own && event.shared && !saw.has(event.id))) {
      chain.waiting.push(event)
      lack([[event.chain!, stamp]], 0)
    } else {
      chain.last = stamp
      chain.lastId = event.id
      show(chain, event)
    }
  }

  return {
    follow(name, since) {
      const none = { lastId: undefined, isJoined: false, asked: undefined, again: undefined }
      chains.set(name, { last: since, ...none, waiting: [], seen: new Set() })
    },
    leave: name => void chains.delete(name),
    since() {
      const since: Record<string, number> = {}
      for (const [name, { last }] of chains) if (last !== undefined) since[name] = last
      return since
    },
    saw: id => trim(saw.add(id), SAW_IDS),
    isWhole: () => [...chains.values()].every(chain => chain.isJoined && !chain.asked),
    lost() {
      for (const chain of chains.values()) chain.isJoined = false
    },
    out(name) {
      const chain = chains.get(name)
      if (chain) chain.isJoined = true
    },
    reopened() {
      const names: string[] = []
      for (const [name, chain] of chains) {
        if (!chain.asked) continue
        chain.asked.isSent = false
        names.push(name)
      }
      send(names, 0)
    },
    joined(entries) {
      const behind = Object.entries(entries).filter(([name, { head, state }]) => {
        const chain = chains.get(name)
        // One that this connection follows already is as far as its last event, whatever was on its way.
        const isWhole = chain?.last === head && (chain.isJoined || state === 'current')
        if (chain) chain.isJoined = true
        return !isWhole
      })
      lack(
        behind.map(([name, { head }]) => [name, head]),
        Math.min(...behind.map(([, { within = 0 }]) => within)),
      )
    },
    gap: (heads, within) => lack(Object.entries(heads), within),
    event(event) {
      const chain = chains.get(event.chain!)
      if (!chain) return
      take(chain, event)
      trim(chain.seen, REMEMBERED_IDS)
    },
    poll() {
      const names: string[] = []
      for (const [name, chain] of chains) {
        if (chain.asked) continue
        chain.asked = { due: chain.last, isSent: false }
        names.push(name)
      }
      send(names, 0, true)
    },
    asking(places) {
      for (const [name, { after }] of Object.entries(places)) {
        const chain = chains.get(name)
        if (!chain?.asked || chain.lastId !== after) continue
        chain.asked = { due: chain.again ?? chain.asked.due, isSent: true }
        chain.again = undefined
      }
    },
    fetched(name, events = []) {
      const chain = chains.get(name)
      if (!chain?.asked?.isSent) return
      let { due } = chain.asked
      for (const event of events) {
        show(chain, event, name)
        chain.lastId = String(event.id)
        // The origin knew this stamp when it answered, so the answer has all that came before it.
        if (event.stamp! > (due ?? 0)) due = event.stamp
      }
      const { waiting, again } = chain
      Object.assign(chain, { last: due, asked: undefined, again: undefined, waiting: [] })
      if (again !== undefined) {
        chain.waiting = waiting
        lack([[name, again]], 0)
      } else {
        for (const event of waiting) {
          if (!chain.asked && event.stamp! <= due!) show(chain, event)
          else take(chain, event)
        }
      }
      // An origin may answer with more than it was asked for, each time again.
      trim(chain.seen, Math.max(REMEMBERED_IDS, events.length))
    },
  }
}

/** Forgets the oldest. */
function trim(ids: Set<string>, most: number): void {
  for (const id of ids) if (ids.size > most) ids.delete(id)
}
