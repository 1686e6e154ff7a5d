/** The questions to the application: gathered from all tabs, asked at a random moment, one at a time, again when they fail. */
import { backoff } from './backoff.ts'
import type { FetchedEvent, Place, TabPort } from './port.ts'
import { Timers } from './timers.ts'

// Time for what is missed at once, as after `connected` and `subscribed`, to come together.
const GATHER_MS = 20
const MOST_WITHIN_MS = 60_000
const HIDDEN_TIMES = 6

interface Wanted {
  readonly chain: string
  readonly place: Place
  readonly tabs: Set<TabPort>
  /** Nothing is known to be missing: a failure is not repeated. */
  isPoll: boolean
}

type Places = Readonly<Record<string, Place>>

export interface CatchUpOptions {
  readonly pollSeconds: number
  /** Asks one of the tabs. */
  readonly ask: (what: 'fetch' | 'poll', chains: Places) => Promise<readonly FetchedEvent[]>
  /** Whether something is on its way that may have to be asked along. */
  readonly isEarly: () => boolean
  readonly isHidden: () => boolean
  readonly onpoll: () => void
  readonly onanswer: (isReached: boolean, events: readonly FetchedEvent[]) => void
}

export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #timers = new Timers()
  /** By chain and `after`: tabs that lack the same share a question. */
  readonly #wanted = new Map<string, Wanted>()
  #due = 0
  #isAsking = false
  #failures = 0

  constructor(options: CatchUpOptions) {
    this.#options = options
  }

  want(tab: TabPort, chains: Places, within: number, isPoll: boolean): void {
    for (const [chain, place] of Object.entries(chains)) {
      const key = JSON.stringify([chain, place.after])
      const wanted = this.#wanted.get(key) ?? { chain, place, tabs: new Set(), isPoll }
      wanted.tabs.add(tab)
      wanted.isPoll &&= isPoll
      this.#wanted.set(key, wanted)
    }
    const wait = Math.max(GATHER_MS, Math.random() * Math.min(within, MOST_WITHIN_MS))
    // All are asked at the first one's moment: that is random too.
    if (!this.#timers.has('ask') || Date.now() + wait < this.#due) this.#askIn(wait)
  }

  /** Polls until `live`. */
  poll(): void {
    const { pollSeconds, isHidden, onpoll } = this.#options
    if (!pollSeconds) return
    const times = isHidden() ? HIDDEN_TIMES : Math.min(2 ** this.#failures, HIDDEN_TIMES)
    this.#timers.set('poll', pollSeconds * times * 1000 * (0.5 + Math.random()), () => {
      onpoll()
      this.poll()
    })
  }

  live(): void {
    this.#timers.clear('poll')
  }

  get isPolling(): boolean {
    return this.#timers.has('poll')
  }

  forget(tab: TabPort): void {
    for (const [key, { tabs }] of this.#wanted) if (tabs.delete(tab) && tabs.size === 0) this.#wanted.delete(key)
  }

  close(): void {
    this.#timers.clearAll()
    this.#wanted.clear()
  }

  #askIn(ms: number): void {
    this.#due = Date.now() + ms
    this.#timers.set('ask', ms, () => void this.#ask())
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    if (this.#options.isEarly()) return this.#askIn(GATHER_MS)
    const asked = new Map<string, Wanted>()
    for (const [key, wanted] of this.#wanted) {
      // Another tab has less of the same chain: it is next.
      if (asked.has(wanted.chain)) continue
      asked.set(wanted.chain, wanted)
      this.#wanted.delete(key)
    }
    if (asked.size === 0) return
    this.#isAsking = true
    this.#tell(asked, 'asking')
    const isPoll = [...asked.values()].every(wanted => wanted.isPoll)
    const places = Object.fromEntries([...asked].map(([chain, { place }]) => [chain, place]))
    let wait = GATHER_MS
    try {
      const events = sound(await this.#options.ask(isPoll ? 'poll' : 'fetch', places), [...asked.keys()])
      this.#failures = 0
      this.#options.onanswer(true, events)
      this.#tell(asked, 'fetched', events)
    } catch {
      wait = backoff(this.#failures++, Math.random())
      this.#options.onanswer(false, [])
      for (const wanted of asked.values()) {
        if (wanted.isPoll) this.#tell(new Map([[wanted.chain, wanted]]), 'fetched')
        else for (const tab of wanted.tabs) this.want(tab, { [wanted.chain]: wanted.place }, 0, false)
      }
    }
    this.#isAsking = false
    if (this.#wanted.size > 0) this.#askIn(wait)
  }

  #tell(asked: ReadonlyMap<string, Wanted>, op: 'asking' | 'fetched', events?: readonly FetchedEvent[]): void {
    for (const tab of new Set([...asked.values()].flatMap(({ tabs }) => [...tabs]))) {
      const chains = [...asked.values()].filter(({ tabs }) => tabs.has(tab)).map(({ chain }) => chain)
      if (op === 'asking') tab.post({ op, chains })
      else tab.post({ op, chains, ...(events && { events: events.filter(({ chain }) => chains.includes(chain!)) }) })
    }
  }
}

/** Returns the events that are some, each with its chain. */
function sound(events: unknown, asked: readonly string[]): FetchedEvent[] {
  if (!Array.isArray(events)) throw new TypeError('fetchSince and poll return a list of events')
  return (events as (FetchedEvent | null)[]).flatMap(event => {
    const chain = event?.chain ?? (event?.thread === undefined ? asked[0] : 'thread:' + event.thread)
    const isSound = event && event.id !== undefined && typeof event.type === 'string' && asked.includes(chain!)
    return isSound ? [{ ...event, id: String(event.id), chain: chain! }] : []
  })
}
