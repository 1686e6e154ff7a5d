/** One session for all tabs: what they want together goes to the relay, what comes from it to those who want it. */
import { createCatchUp } from './catch-up.ts'
import { own, RelayError, refusalOf } from './errors.ts'
import { threadOf } from './events.ts'
import type { Refusal, RelayFrame } from './frames.ts'
import { createPending } from './pending.ts'
import type { CallFrame, FetchedEvent, Question, TabPort, ThreadWish, ToHub, ToTab } from './port.ts'
import { type Credentials, openSession, type Session } from './session.ts'
import { createTimers } from './timers.ts'

/** What a hub needs. Pages with equal options (but for WebSocket) may share one hub. Can be cloned without `WebSocket`. */
export interface HubOptions {
  readonly url: string
  readonly licence?: string | undefined
  /** Whom the page is for: pages of different users must not share a session. */
  readonly user?: string | undefined
  /** Seconds between two polls; 0: no polling. */
  readonly pollSeconds: number
  readonly WebSocket?: typeof WebSocket | undefined
}

export interface Hub {
  attach: (port: TabPort) => void
  /** Ends the session and sends all tabs away. One whose last tab went does so by itself; another tab begins another. */
  close: () => void
}

const ANSWER_MS = 30_000
const RECEIPTS_MS = 250
const RECEIPTS_AT_ONCE = 100
const MOST_RECEIPTS = 1000
const THREADS_AT_ONCE = 200

interface Tab {
  isVisible: boolean
  /** Whether it answers questions. */
  isReady: boolean
  threads: Map<string, ThreadWish>
  watched: Set<string>
}

export function createHub(options: HubOptions): Hub {
  const timers = createTimers()
  const questions = createPending()
  /** The newest last. */
  const tabs = new Map<TabPort, Tab>()
  /** The last stamp that the relay told of each chain: every tab has everything up to it, or knows that it has not. */
  let since: Record<string, number> = {}
  let receipts = new Set<string>()
  let session: Session | undefined
  let isOpen = false
  let sent = 0
  let isBusUp = true
  /** More than one tab used this connection, so that nobody can tell whose an `own` event is. */
  let isShared = false

  const toAll = (message: ToTab): void => {
    for (const port of tabs.keys()) port.post(message)
  }
  const toThread = (thread: string | undefined, message: ToTab, but?: TabPort): void => {
    for (const [port, tab] of tabs)
      if (port !== but && (thread === undefined || tab.threads.has(thread))) port.post(message)
  }
  const tellError = (error: unknown): void => toAll({ op: 'error', error: refusalOf(error) })
  const all = (of: (tab: Tab) => Iterable<string>): Set<string> => {
    const found = new Set<string>()
    for (const tab of tabs.values()) for (const one of of(tab)) found.add(one)
    return found
  }
  const threadsOf = (tab: Tab): Iterable<string> => tab.threads.keys()
  const watchedOf = (tab: Tab): Iterable<string> => tab.watched
  const connected = () => session?.connected()
  const isLive = () => !!connected() && isBusUp

  /** Asks the newest tab, one that is seen if there is; when it goes away or says nothing, the next. */
  const question = async (what: Question, chains?: object): Promise<unknown> => {
    let best: [TabPort, Tab] | undefined
    for (const one of tabs) if (one[1].isReady && (one[1].isVisible || !best?.[1].isVisible)) best = one
    if (!best) {
      for (const tab of tabs.values()) tab.isReady = true
      throw new RelayError(own('timeout'))
    }
    const [port, tab] = best
    try {
      return await questions.ask(
        ANSWER_MS,
        id => port.post({ op: 'question', question: id, what, chains } as ToTab),
        port,
      )
    } catch (error) {
      if ((error as RelayError).code !== 'timeout') throw error
      // Until it says something, or there is no other.
      tab.isReady = false
      return question(what, chains)
    }
  }

  const tellLink = (tell = toAll): void => {
    const { connection, user } = connected() ?? {}
    tell({ op: 'link', connection, user, isLive: isLive(), isPolling: !isLive() && catchUp.isPolling() })
  }

  const catchUp = createCatchUp({
    pollSeconds: options.pollSeconds,
    async ask(what, chains) {
      const events = (await question(what, chains)) as FetchedEvent[]
      for (const { chain, stamp } of events) if (stamp! > since[chain!]!) since[chain!] = stamp!
      return events
    },
    isHidden: () => ![...tabs.values()].some(tab => tab.isVisible),
    toAll,
    onchange: tellLink,
  })

  /** Sends what the relay answers to all; a refusal goes to all as an error. */
  const tell = (op: string, field: string, list: readonly string[]): void => {
    if (list.length > 0 && isOpen)
      session!.request({ op, [field]: list }).catch((error: RelayError) => {
        if (error.code !== 'closed') tellError(error)
      })
  }

  const subscribe = (threads: readonly string[]): void => {
    const groups: Record<string, string[]> = {}
    threads.forEach((thread, n) => {
      const wishes = [...tabs.values()].flatMap(tab => tab.threads.get(thread) ?? [])
      const presence = wishes.some(wish => wish.presence)
      const grant = wishes.flatMap(wish => wish.grant ?? []).at(-1)
      ;(groups[JSON.stringify([{ presence, grant }, Math.floor(n / THREADS_AT_ONCE)])] ??= []).push(thread)
    })
    for (const [wish, group] of Object.entries(groups)) {
      const [fields] = JSON.parse(wish) as [object]
      const stamps = Object.fromEntries(group.map(thread => ['thread:' + thread, since['thread:' + thread]]))
      session!.request({ op: 'subscribe', threads: group, since: stamps, ...fields }).catch((error: RelayError) => {
        // When the connection is gone, the next one begins with all threads.
        if (error.code === 'closed') return
        const seconds = error.code === 'timeout' ? 1 : error.retryAfter
        if (seconds) return timers.set('again' + group[0], seconds * 1000, () => isOpen && subscribe(group))
        const refused = refusalOf(error)
        toAll({ op: 'subscribed', chains: {}, refused: Object.fromEntries(group.map(thread => [thread, refused])) })
      })
    }
  }

  const unsubscribe = (threads: readonly string[]): void => {
    const wanted = all(threadsOf)
    const left = threads.filter(thread => !wanted.has(thread))
    for (const thread of left) delete since['thread:' + thread]
    tell('unsubscribe', 'threads', left)
  }

  const unwatch = (users: readonly string[]): void => {
    const watched = all(watchedOf)
    tell(
      'unwatch',
      'users',
      users.filter(user => !watched.has(user)),
    )
  }

  const sendReceipts = (): void => {
    if (!isOpen) return
    const list = [...receipts]
    receipts = new Set()
    while (list.length > 0) session!.send({ op: 'receipt', receipts: list.splice(0, RECEIPTS_AT_ONCE) })
  }

  const heads = (chains: Readonly<Record<string, number | { head: number }>>): void => {
    for (const [chain, told] of Object.entries(chains)) {
      const head = typeof told === 'object' ? told.head : told
      if (!Number.isInteger(head)) throw new TypeError('no head')
      since[chain] = head
    }
  }

  const deliver = (frame: RelayFrame): void => {
    const { op } = frame
    if (op === 'event') {
      const { chain, stamp, sender, thread, own } = frame
      if (chain) since[chain] = stamp!
      toThread(threadOf(chain) ?? (sender && thread), own ? { ...frame, shared: isShared } : frame)
    } else if (op === 'presence') toThread(frame.thread, frame)
    else if (op === 'status') {
      isBusUp = frame.bus === 'up'
      catchUp.poll(!isBusUp)
      tellLink()
    } else if (op === 'subscribed' || op === 'gap' || op === 'online' || op === 'members') {
      if (op === 'subscribed' || op === 'gap') heads(frame.chains)
      toAll(frame)
      // Let in again.
      if (op === 'members' && frame.perms.includes('read') && all(threadsOf).has(frame.thread))
        subscribe([frame.thread])
    }
  }

  /** Ends the session and sends everybody away. */
  const end = (error: Refusal): void => {
    const ports = [...tabs.keys()]
    tabs.clear()
    session?.close()
    session = undefined
    catchUp.close()
    questions.fail(error)
    timers.clearAll()
    since = {}
    receipts = new Set()
    for (const port of ports) {
      port.post({ op: 'closed', error })
      port.close()
    }
  }
  const close = (): void => end(own('closed'))

  const begin = (): void => {
    catchUp.poll(true)
    session = openSession({
      url: options.url,
      licence: options.licence,
      WebSocket: options.WebSocket ?? globalThis.WebSocket,
      token: async () => credentials(await question('token')),
      since: () => since,
      onopen() {
        isOpen = isBusUp = true
        isShared = tabs.size > 1
        subscribe([...all(threadsOf)])
        tell('watch', 'users', [...all(watchedOf)])
        sendReceipts()
      },
      onup(frame) {
        heads(frame.chains)
        catchUp.poll(false)
        tellLink()
        toAll(frame)
      },
      onframe: deliver,
      ondown() {
        isOpen = false
        catchUp.poll(true)
        tellLink()
      },
      onerror: error => toAll({ op: 'error', error }),
      onclosed: end,
    })
  }

  const welcome = (hello: ToHub & { op: 'hello' }, port: TabPort, tab: Tab): void => {
    tab.isVisible = hello.isVisible
    since = { ...hello.since, ...since }
    tab.threads = new Map(Object.entries(hello.threads))
    tab.watched = new Set(hello.watch)
    tellLink(message => port.post(message))
    if (!session) return begin()
    // What is known of `user` and `site`: a tab that has not as much will ask.
    const entry = (chain: string) => ({ head: since[chain]!, state: 'current' })
    if (connected()) port.post({ op: 'subscribed', chains: { user: entry('user'), site: entry('site') } })
    if (isOpen) subscribe([...tab.threads.keys()])
    tell('watch', 'users', hello.watch)
  }

  const call = async (port: TabPort, id: number, frame: CallFrame): Promise<void> => {
    try {
      if (frame.op === 'refresh') await session!.refresh()
      const value = frame.op === 'refresh' ? undefined : await session!.request(frame)
      if (frame.op === 'send') echo(port, frame)
      port.post({ op: 'answer', call: id, value })
    } catch (error) {
      port.post({ op: 'answer', call: id, error: refusalOf(error, 'token_callback') })
    }
  }

  /** A send reaches all but the connection that sent it: the other tabs on it get it here. */
  const echo = (from: TabPort, { thread, type, data, to }: CallFrame & { op: 'send' }): void => {
    const { connection, user } = connected() ?? {}
    if (!connection || !user || (to && !('user' in to ? to.user === user : to.connection === connection))) return
    const id = `${connection}.${++sent}`
    toThread(thread, { op: 'event', id, type, thread, data, at: Date.now(), sender: { user, connection } }, from)
  }

  const handlers: { [Op in ToHub['op']]: (message: ToHub & { op: Op }, port: TabPort, tab: Tab) => void } = {
    hello: welcome,
    subscribe({ thread, wish, since: stamp }, _, tab) {
      if (stamp !== undefined) since['thread:' + thread] ??= stamp
      tab.threads.set(thread, wish)
      if (isOpen) subscribe([thread])
    },
    unsubscribe({ thread }, _, tab) {
      tab.threads.delete(thread)
      unsubscribe([thread])
    },
    watch({ users }, _, tab) {
      for (const user of users) tab.watched.add(user)
      tell('watch', 'users', users)
    },
    unwatch({ users }, _, tab) {
      for (const user of users) tab.watched.delete(user)
      unwatch(users)
    },
    call: ({ call: id, frame }, port) => void call(port, id, frame),
    ask: ({ chains, within, isPoll }) => catchUp.want(chains, within, isPoll),
    receipt({ receipt }) {
      if (receipts.size < MOST_RECEIPTS) receipts.add(receipt)
      if (!timers.has('receipts')) timers.set('receipts', RECEIPTS_MS, sendReceipts)
    },
    told: ({ question, error, value }) => questions.settle(question, error, value),
    visible({ isVisible }, _, tab) {
      tab.isVisible = isVisible
      if (!isVisible) return
      session?.wake()
      // Until now it was slow.
      if (!isLive()) catchUp.poll(false)
      if (!isLive()) catchUp.poll(true)
    },
    online: () => session?.wake(),
    reconnect: () => session?.reconnect(),
  }

  return {
    attach(port) {
      const tab: Tab = { isVisible: false, isReady: false, threads: new Map(), watched: new Set() }
      tabs.set(port, tab)
      isShared ||= tabs.size > 1
      port.onmessage = message => {
        if (!tabs.has(port)) return
        tab.isReady = true
        ;(handlers[message.op] as (message: ToHub, port: TabPort, tab: Tab) => void)(message, port, tab)
      }
      port.onclose = () => {
        if (!tabs.delete(port)) return
        if (tabs.size === 0) return close()
        questions.fail(own('timeout'), port)
        unsubscribe([...tab.threads.keys()])
        unwatch([...tab.watched])
      }
    },
    close,
  }
}

/** Returns what a page gave as its token; undefined if that is nothing. */
function credentials(told: unknown): Credentials | undefined {
  const { token, licence } = ((told as Credentials | null)?.token ? told : { token: told }) as Credentials
  return token ? { token: token.trim(), licence } : undefined
}
