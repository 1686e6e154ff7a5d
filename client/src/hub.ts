/** One session for all tabs: what they want together goes to the relay, what comes from it to those who want it. */
import { createCatchUp } from './catch-up.ts'
import { own, type RelayError, refusalOf } from './errors.ts'
import { threadOf } from './events.ts'
import type { Refusal, RelayFrame } from './frames.ts'
import type { CallFrame, FetchedEvent, TabPort, ToHub } from './port.ts'
import { createReceipts } from './receipts.ts'
import { credentialsOf, openSession, type Session } from './session.ts'
import { createTabs, type Tab } from './tabs.ts'
import { createTimers } from './timers.ts'

/** What a hub needs. Can be cloned without `WebSocket`. */
export interface HubOptions {
  readonly url: string
  readonly licence?: string | undefined
  /** Seconds between two polls; 0: no polling. */
  readonly pollSeconds: number
  readonly WebSocket?: typeof WebSocket | undefined
}

export interface Hub {
  attach: (port: TabPort) => void
  /** Ends the session and sends all tabs away. One whose last tab went does so by itself; another tab begins another. */
  close: () => void
}

export function createHub(options: HubOptions): Hub {
  const timers = createTimers()
  const tabs = createTabs()
  const { toAll, toThread } = tabs
  /** The last stamp that the relay told of each chain: every tab has everything up to it, or knows that it has not. */
  let since: Record<string, number> = {}
  let session: Session | undefined
  let isOpen = false
  let sent = 0
  let isBusUp = true
  /** More than one tab used this connection, so that nobody can tell whose an `own` event is. */
  let isShared = false

  const connected = () => session?.connected()
  const isLive = () => !!connected() && isBusUp

  const tellLink = (tell = toAll): void => {
    const { connection, user } = connected() ?? {}
    tell({ op: 'link', connection, user, isLive: isLive(), isPolling: !isLive() && catchUp.isPolling() })
  }

  const catchUp = createCatchUp({
    pollSeconds: options.pollSeconds,
    async ask(what, chains) {
      const events = (await tabs.ask(what, chains)) as FetchedEvent[]
      for (const { chain, stamp } of events) if (stamp! > since[chain!]!) since[chain!] = stamp!
      return events
    },
    isHidden: tabs.isHidden,
    toAll,
    onchange: tellLink,
  })

  /** Sends what the relay answers to all; a refusal goes to all as an error. */
  const tell = (op: string, field: string, list: readonly string[]): void => {
    if (list.length > 0 && isOpen)
      session!.request({ op, [field]: list }).catch((error: RelayError) => {
        if (error.code !== 'closed') toAll({ op: 'error', error: refusalOf(error) })
      })
  }

  const subscribe = (threads: readonly string[]): void => {
    for (const wish of tabs.wishes(threads)) {
      const chains = wish.threads.map(thread => 'thread:' + thread)
      const stamps = Object.fromEntries(chains.map(chain => [chain, since[chain]]))
      session!.request({ op: 'subscribe', since: stamps, ...wish }).catch((error: RelayError) => {
        // When the connection is gone, the next one begins with all threads.
        if (error.code === 'closed') return
        const seconds = error.code === 'timeout' ? 1 : error.retryAfter
        if (seconds) return timers.set('again' + chains[0], seconds * 1000, () => isOpen && subscribe(wish.threads))
        const refused = refusalOf(error)
        const entries = wish.threads.map(thread => [thread, refused])
        toAll({ op: 'subscribed', chains: {}, refused: Object.fromEntries(entries) as Record<string, Refusal> })
      })
    }
  }

  const unsubscribe = (threads: readonly string[]): void => {
    const wanted = tabs.threads()
    const left = threads.filter(thread => !wanted.has(thread))
    for (const thread of left) delete since['thread:' + thread]
    tell('unsubscribe', 'threads', left)
  }

  const unwatch = (users: readonly string[]): void => {
    const watched = tabs.watched()
    tell(
      'unwatch',
      'users',
      users.filter(user => !watched.has(user)),
    )
  }

  const receipts = createReceipts(
    () => isOpen,
    list => session!.send({ op: 'receipt', receipts: list }),
  )

  const heads = (chains: Readonly<Record<string, number | { head: number }>>): void => {
    for (const [chain, told] of Object.entries(chains)) {
      const head = (told as { head?: number }).head ?? told
      if (!Number.isInteger(head)) throw new TypeError('no head')
      since[chain] = head as number
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
      if (op === 'members' && frame.perms.includes('read') && tabs.threads().has(frame.thread))
        subscribe([frame.thread])
    }
  }

  /** Ends the session and sends everybody away. */
  const end = (error: Refusal): void => {
    const ports = [...tabs.all.keys()]
    tabs.all.clear()
    session?.close()
    session = undefined
    catchUp.close()
    tabs.forget()
    timers.clearAll()
    since = {}
    receipts.close()
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
      token: async () => credentialsOf(await tabs.ask('token')),
      since: () => since,
      onopen() {
        isOpen = isBusUp = true
        isShared = tabs.all.size > 1
        subscribe([...tabs.threads()])
        tell('watch', 'users', [...tabs.watched()])
        receipts.flush()
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
    receipt: ({ receipt }) => receipts.add(receipt),
    told: tabs.told,
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
      const tab = tabs.add(port)
      isShared ||= tabs.all.size > 1
      port.onmessage = message => {
        if (!tabs.all.has(port)) return
        tab.isReady = true
        ;(handlers[message.op] as (message: ToHub, port: TabPort, tab: Tab) => void)(message, port, tab)
      }
      port.onclose = () => {
        if (!tabs.all.delete(port)) return
        if (tabs.all.size === 0) return close()
        tabs.forget(port)
        unsubscribe([...tab.threads.keys()])
        unwatch([...tab.watched])
      }
    },
    close,
  }
}
