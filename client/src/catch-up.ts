/** The questions to the application: gathered from all tabs, asked at a random moment, one at a time, again when they fail. */
import { backoff } from './backoff.ts'
import type { FetchedEvent, Place, TabPort } from './port.ts'
import { createTimers } from './timers.ts'

// Time for what is missed at once, as after `connected` and `subscribed`, to come together.
const GATHER_MS = 20
const MOST_WITHIN_MS = 60_000
const SLOWLY = 6

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
  readonly ask: (what: 'fetch' | 'poll', chains: Places) => Promise<unknown>
  readonly isHidden: () => boolean
  readonly onpoll: () => void
  /** Whether the last question was answered has changed. */
  readonly onchange: () => void
}

export interface CatchUp {
  /** Notes that a tab lacks what came after these places. */
  want: (tab: TabPort, chains: Places, within: number, isPoll: boolean) => void
  /** Polls from now on, or no longer. */
  poll: (isOn: boolean) => void
  /** Whether it polls and gets answers. */
  isPolling: () => boolean
  forget: (tab: TabPort) => void
  close: () => void
}

export function createCatchUp(options: CatchUpOptions): CatchUp {
  const { pollSeconds, isHidden, onpoll, onchange } = options
  const timers = createTimers()
  /** By chain and `after`: tabs that lack the same share a question. */
  const wanted = new Map<string, Wanted>()
  let due = 0
  let isAsking = false
  let isReached = false
  let failures = 0

  const askIn = (ms: number): void => {
    due = Date.now() + ms
    timers.set('ask', ms, () => void ask())
  }

  const note = (tab: TabPort, chain: string, place: Place, isPoll: boolean): void => {
    const key = JSON.stringify([chain, place.after])
    const one = wanted.get(key) ?? { chain, place, tabs: new Set(), isPoll }
    one.tabs.add(tab)
    one.isPoll &&= isPoll
    wanted.set(key, one)
  }

  const reached = (is: boolean): void => {
    failures = is ? 0 : failures + 1
    if (is === isReached) return
    isReached = is
    onchange()
  }

  const ask = async (): Promise<void> => {
    if (isAsking) return
    const asked = new Map<string, Wanted>()
    for (const [key, one] of wanted) {
      // Another tab has less of the same chain: it is next.
      if (asked.has(one.chain)) continue
      asked.set(one.chain, one)
      wanted.delete(key)
    }
    if (asked.size === 0) return
    const all = [...asked.values()]
    const tell = (tell: (tab: TabPort, chains: string[]) => void): void => {
      for (const tab of new Set(all.flatMap(({ tabs }) => [...tabs])))
        tell(
          tab,
          all.flatMap(({ tabs, chain }) => (tabs.has(tab) ? chain : [])),
        )
    }
    isAsking = true
    tell((tab, chains) => tab.post({ op: 'asking', chains }))
    let wait = GATHER_MS
    try {
      const places = Object.fromEntries(all.map(({ chain, place }) => [chain, place]))
      const told = await options.ask(all.every(({ isPoll }) => isPoll) ? 'poll' : 'fetch', places)
      const events = sound(told, [...asked.keys()])
      reached(true)
      tell((tab, chains) => tab.post({ op: 'fetched', chains, events }))
    } catch {
      wait = backoff(failures, Math.random())
      reached(false)
      for (const { chain, place, tabs, isPoll } of all) {
        for (const tab of tabs) {
          if (isPoll) tab.post({ op: 'fetched', chains: [chain] })
          else note(tab, chain, place, isPoll)
        }
      }
    }
    isAsking = false
    if (wanted.size > 0) askIn(wait)
  }

  const poll = (isOn: boolean): void => {
    if (!isOn) return timers.clear('poll')
    if (!pollSeconds || timers.has('poll')) return
    const times = Math.min(isHidden() ? SLOWLY : 2 ** failures, SLOWLY)
    timers.set('poll', pollSeconds * times * 1000 * (0.5 + Math.random()), () => {
      onpoll()
      poll(true)
    })
  }

  return {
    want(tab, chains, within, isPoll) {
      for (const [chain, place] of Object.entries(chains)) note(tab, chain, place, isPoll)
      const wait = Math.max(GATHER_MS, Math.random() * Math.min(within, MOST_WITHIN_MS))
      // All are asked at the first one's moment: that is random too.
      if (!timers.has('ask') || Date.now() + wait < due) askIn(wait)
    },
    poll,
    isPolling: () => isReached && timers.has('poll'),
    forget(tab) {
      for (const [key, { tabs }] of wanted) if (tabs.delete(tab) && !tabs.size) wanted.delete(key)
    },
    close() {
      timers.clearAll()
      wanted.clear()
    },
  }
}

/** Returns those events that are some, each with its chain. */
function sound(events: unknown, asked: readonly string[]): FetchedEvent[] {
  return (events as readonly FetchedEvent[]).flatMap(event => {
    const chain = event.chain ?? (event.thread === undefined ? asked[0]! : 'thread:' + event.thread)
    return event.id === undefined || !event.type ? [] : { ...event, chain }
  })
}
