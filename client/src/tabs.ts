/** The tabs of a hub: what each wants, how they are told, and which of them is asked. */
import { own, RelayError } from './errors.ts'
import { createPending } from './pending.ts'
import type { Place, Question, TabPort, ThreadWish, ToHub, ToTab } from './port.ts'

const ANSWER_MS = 30_000
const THREADS_AT_ONCE = 200

export interface Tab {
  isVisible: boolean
  /** Whether it answers questions. */
  isReady: boolean
  threads: Map<string, ThreadWish>
  watched: Set<string>
}

/** Threads that are wanted in the same way. */
export interface Wish extends ThreadWish {
  readonly threads: string[]
}

export interface Tabs {
  /** The newest last. */
  readonly all: Map<TabPort, Tab>
  add: (port: TabPort) => Tab
  toAll: (message: ToTab) => void
  /** Tells those that are subscribed to a thread; all, if it is undefined. */
  toThread: (thread: string | undefined, message: ToTab, but?: TabPort) => void
  threads: () => Set<string>
  /** What to ask the relay for, so that each tab has at least what it wants, in few frames. */
  wishes: (threads: readonly string[]) => readonly Wish[]
  watched: () => Set<string>
  isHidden: () => boolean
  /** Asks the newest tab, one that is seen if there is; when it goes away or says nothing, the next. */
  ask: (what: Question, chains?: Readonly<Record<string, Place>>) => Promise<unknown>
  told: (answer: ToHub & { readonly op: 'told' }) => void
  /** Waits for nothing more, or for nothing more of one tab. */
  forget: (port?: TabPort) => void
}

export function createTabs(): Tabs {
  const all = new Map<TabPort, Tab>()
  // A page may answer what the hub before this one has asked: that must not be taken for another answer.
  const questions = createPending(Math.floor(Math.random() * 2 ** 40))

  const gather = (of: (tab: Tab) => Iterable<string>): Set<string> => {
    const found = new Set<string>()
    for (const tab of all.values()) for (const one of of(tab)) found.add(one)
    return found
  }

  const ask: Tabs['ask'] = async (what, chains) => {
    let best: [TabPort, Tab] | undefined
    for (const one of all) if (one[1].isReady && (one[1].isVisible || !best?.[1].isVisible)) best = one
    if (!best) {
      for (const tab of all.values()) tab.isReady = true
      throw new RelayError(own('timeout'))
    }
    const [port, tab] = best
    try {
      return await questions.ask(ANSWER_MS, question => port.post({ op: 'question', question, what, chains }), port)
    } catch (error) {
      if ((error as RelayError).code !== 'timeout') throw error
      // Until it says something, or there is no other.
      tab.isReady = false
      return ask(what, chains)
    }
  }

  return {
    all,
    add(port) {
      const tab: Tab = { isVisible: false, isReady: false, threads: new Map(), watched: new Set() }
      all.set(port, tab)
      return tab
    },
    toAll(message) {
      for (const port of all.keys()) port.post(message)
    },
    toThread(thread, message, but) {
      for (const [port, tab] of all)
        if (port !== but && (thread === undefined || tab.threads.has(thread))) port.post(message)
    },
    threads: () => gather(tab => tab.threads.keys()),
    wishes(threads) {
      const groups: Record<string, Wish> = {}
      threads.forEach((thread, n) => {
        const wishes = [...all.values()].flatMap(tab => tab.threads.get(thread) ?? [])
        const presence = wishes.some(wish => wish.presence)
        const grant = wishes.flatMap(wish => wish.grant ?? []).at(-1)
        const key = `${presence} ${grant} ${Math.floor(n / THREADS_AT_ONCE)}`
        ;(groups[key] ??= { threads: [], presence, grant }).threads.push(thread)
      })
      return Object.values(groups)
    },
    watched: () => gather(tab => tab.watched),
    isHidden: () => ![...all.values()].some(tab => tab.isVisible),
    ask,
    told: ({ question, error, value }) => questions.settle(question, error, value),
    forget: port => questions.fail(own(port ? 'timeout' : 'closed'), port),
  }
}
