/** The questions to the application: gathered from all tabs, asked at a random moment, one at a time, again when they fail. */
import { backoff } from './backoff.ts'
import type { FetchedEvent, Place, ToTab } from './port.ts'
import { createTimers } from './timers.ts'

// Time for what is missed at once, as after `connected` and `subscribed`, to come together.
const GATHER_MS = 20
const SLOWLY = 6

interface Wanted {
  readonly chain: string
  readonly place: Place
  /** Nothing is known to be missing: a failure is not repeated. */
  isPoll: boolean
}

type Places = Readonly<Record<string, Place>>

export interface CatchUpOptions {
  readonly pollSeconds: number
  /** Asks one of the tabs. */
  readonly ask: (what: 'fetch' | 'poll', chains: Places) => Promise<unknown>
  readonly isHidden: () => boolean
  readonly toAll: (message: ToTab) => void
  /** Whether the last question was answered has changed. */
  readonly onchange: () => void
}

export interface CatchUp {
  /** Notes that a tab lacks what came after these places. */
  want: (chains: Places, within: number, isPoll: boolean) => void
  /** Polls from now on, or no longer. */
  poll: (isOn: boolean) => void
  /** Whether it polls and gets answers. */
  isPolling: () => boolean
  close: () => void
}

export function createCatchUp({ pollSeconds, ask, isHidden, toAll, onchange }: CatchUpOptions): CatchUp {
  const timers = createTimers()
  /** By chain and `after`: tabs that lack the same share a question. */
  const wanted = new Map<string, Wanted>()
  let due = 0
  let isAsking = false
  let isReached = false
  let failures = 0
  /** What was asked before the last `close` is nobody's any more. */
  let turn = 0

  const askIn = (ms: number): void => {
    due = Date.now() + ms
    timers.set('ask', ms, () => void askNow())
  }

  const note = (chain: string, place: Place, isPoll: boolean): void => {
    const key = JSON.stringify([chain, place.after])
    wanted.set(key, { chain, place, isPoll: isPoll && (wanted.get(key)?.isPoll ?? true) })
  }

  const reached = (is: boolean): void => {
    failures = is ? 0 : failures + 1
    if (is === isReached) return
    isReached = is
    onchange()
  }

  const askNow = async (): Promise<void> => {
    if (isAsking || wanted.size === 0) return
    const places: Record<string, Place> = {}
    const asked: Wanted[] = []
    for (const [key, one] of wanted) {
      // Another tab has less of the same chain: it is next.
      if (places[one.chain]) continue
      places[one.chain] = one.place
      asked.push(one)
      wanted.delete(key)
    }
    isAsking = true
    const mine = turn
    toAll({ op: 'asking', chains: places })
    const chains = Object.keys(places)
    let wait = GATHER_MS
    try {
      const told = await ask(asked.every(({ isPoll }) => isPoll) ? 'poll' : 'fetch', places)
      const events = sound(told, chains)
      if (mine !== turn) return
      reached(true)
      toAll({ op: 'fetched', chains, events })
    } catch {
      if (mine !== turn) return
      wait = backoff(failures, Math.random())
      reached(false)
      for (const { chain, place, isPoll } of asked) {
        if (isPoll) toAll({ op: 'fetched', chains: [chain] })
        else note(chain, place, isPoll)
      }
    }
    isAsking = false
    askIn(wait)
  }

  const poll = (isOn: boolean): void => {
    if (!isOn) return timers.clear('poll')
    if (!pollSeconds || timers.has('poll')) return
    const times = Math.min(isHidden() ? SLOWLY : 2 ** failures, SLOWLY)
    timers.set('poll', pollSeconds * times * 1000 * (0.5 + Math.random()), () => {
      toAll({ op: 'poll' })
      poll(true)
    })
  }

  return {
    want(chains, within, isPoll) {
      for (const [chain, place] of Object.entries(chains)) note(chain, place, isPoll)
      const wait = Math.max(GATHER_MS, Math.random() * within)
      // All are asked at the first one's moment: that is random too.
      if (!timers.has('ask') || Date.now() + wait < due) askIn(wait)
    },
    poll,
    isPolling: () => isReached && timers.has('poll'),
    close() {
      turn++
      isAsking = false
      timers.clearAll()
      wanted.clear()
    },
  }
}

/** Returns those events that are some, each with its chain. */
function sound(events: unknown, asked: readonly string[]): FetchedEvent[] {
  return (events as readonly FetchedEvent[])
    .filter(({ id, type }) => id !== undefined && type)
    .map(event => Object.assign({ chain: event.thread === undefined ? asked[0] : 'thread:' + event.thread }, event))
}
