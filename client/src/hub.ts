/** One session for all tabs: what they want together goes to the relay, what comes from it to those who want it. */
import { CatchUp } from './catch-up.ts'
import { RelayError, refusal, refusalOf } from './errors.ts'
import type { ChainEntry, ConnectedFrame, EventFrame, Refusal, RelayFrame } from './frames.ts'
import type { CallFrame, FetchedEvent, Place, Question, TabPort, ThreadWish, ToHub, ToTab } from './port.ts'
import { type Credentials, Session } from './session.ts'
import { Timers } from './timers.ts'

/** What a hub needs. Pages with equal options (but for WebSocket) may share one hub. Can be cloned without `WebSocket`. */
export interface HubOptions {
  readonly url: string
  readonly licence?: string
  /** Whom the page is for: pages of different users must not share a session. */
  readonly user?: string
  /** Seconds between two polls; 0: no polling. */
  readonly pollSeconds: number
  readonly WebSocket?: typeof WebSocket
}

const ANSWER_MS = 30_000
const RECEIPTS_MS = 250
const RECEIPTS_AT_ONCE = 100
const MOST_RECEIPTS = 1000
const THREADS_AT_ONCE = 200
const PAUSE_MS = 1000

interface Tab {
  isVisible: boolean
  /** Whether it has said what it wants. */
  isReady: boolean
  readonly threads: Map<string, ThreadWish>
  readonly watched: Set<string>
}

interface Waiting {
  readonly tab: TabPort
  readonly resolve: (value: unknown) => void
  readonly reject: (error: RelayError) => void
}

export class Hub {
  readonly #options: HubOptions
  readonly #timers = new Timers()
  /** The newest last. */
  readonly #tabs = new Map<TabPort, Tab>()
  /** The last stamp that the relay told of each chain: every tab has everything up to it, or knows that it has not. */
  readonly #since = new Map<string, number>()
  readonly #questions = new Map<number, Waiting>()
  readonly #receipts = new Set<string>()
  readonly #catchUp: CatchUp
  #session: Session | undefined
  #lastQuestion = 0
  #subscribing = 0
  #isBusUp = true
  #isReached = false
  /** More than one tab used this connection, so that nobody can tell whose an `own` event is. */
  #isShared = false

  constructor(options: HubOptions) {
    this.#options = options
    this.#catchUp = new CatchUp({
      pollSeconds: options.pollSeconds,
      ask: (what, chains) => this.#ask(what, chains) as Promise<FetchedEvent[]>,
      isEarly: () => this.#subscribing > 0,
      isHidden: () => ![...this.#tabs.values()].some(tab => tab.isVisible),
      onpoll: () => this.#toAll({ op: 'poll' }),
      onanswer: (isReached, events) => {
        for (const { chain, stamp } of events) {
          if (typeof stamp === 'number') this.#since.set(chain!, Math.max(stamp, this.#since.get(chain!) ?? 0))
        }
        const isChange = this.#isReached !== isReached
        this.#isReached = isReached
        if (isChange) this.#tellLink()
      },
    })
  }

  attach(port: TabPort): void {
    this.#tabs.set(port, { isVisible: false, isReady: false, threads: new Map(), watched: new Set() })
    if (this.#tabs.size > 1) this.#isShared = true
    port.onmessage = message => this.#receive(port, message)
    port.onclose = () => this.#leave(port)
  }

  close(): void {
    this.#end(refusal('closed', 'the session was closed'))
  }

  #receive(port: TabPort, message: ToHub): void {
    const tab = this.#tabs.get(port)
    if (!tab) return
    switch (message.op) {
      case 'hello':
        return this.#welcome(port, tab, message)
      case 'subscribe':
        if (message.since !== undefined) this.#start('thread:' + message.thread, message.since)
        tab.threads.set(message.thread, message.wish)
        return this.#subscribe([message.thread])
      case 'unsubscribe':
        tab.threads.delete(message.thread)
        return this.#unsubscribe([message.thread])
      case 'watch':
        for (const user of message.users) tab.watched.add(user)
        return this.#watch(message.users)
      case 'unwatch':
        for (const user of message.users) tab.watched.delete(user)
        return this.#unwatch(message.users)
      case 'call':
        return void this.#call(port, message.call, message.frame)
      case 'ask':
        return this.#catchUp.want(port, message.chains, message.within, message.isPoll)
      case 'receipt':
        this.#receipts.add(message.receipt)
        if (this.#receipts.size > MOST_RECEIPTS) this.#receipts.clear()
        if (!this.#timers.has('receipts')) this.#timers.set('receipts', RECEIPTS_MS, () => this.#sendReceipts())
        return
      case 'told': {
        const { question, value, error } = message
        const waiting = this.#answered(question)
        if (error) waiting?.reject(new RelayError(error))
        else waiting?.resolve(value)
        return
      }
      case 'visible':
        tab.isVisible = message.isVisible
        if (!message.isVisible) return
        this.#session?.wake()
        if (this.#catchUp.isPolling) this.#catchUp.poll()
        return
      case 'online':
        return this.#session?.wake()
      case 'reconnect':
        return this.#session?.reconnect()
    }
  }

  #welcome(port: TabPort, tab: Tab, { isVisible, since, threads, watch }: ToHub & { op: 'hello' }): void {
    tab.isReady = true
    tab.isVisible = isVisible
    for (const [chain, stamp] of Object.entries(since)) this.#start(chain, stamp)
    for (const [thread, wish] of Object.entries(threads)) tab.threads.set(thread, wish)
    for (const user of watch) tab.watched.add(user)
    this.#tellLink(port)
    if (!this.#session) return this.#begin()
    const connected = this.#session.connected
    if (!connected) return
    // What is known of `user` and `site`; a tab that has not as much will ask.
    port.post({ op: 'joined', chains: { user: this.#entry('user'), site: this.#entry('site') } })
    if (tab.threads.size > 0) this.#subscribe([...tab.threads.keys()])
    if (watch.length > 0) this.#watch(watch)
  }

  #begin(): void {
    this.#session = new Session({
      url: this.#options.url,
      licence: this.#options.licence,
      WebSocket: this.#options.WebSocket ?? globalThis.WebSocket,
      token: async () => credentials(await this.#ask('token')),
      since: () => Object.fromEntries(this.#since),
      onup: frame => this.#up(frame),
      onframe: frame => this.#deliver(frame),
      ondown: () => {
        this.#catchUp.poll()
        this.#tellLink()
      },
      onerror: error => this.#toAll({ op: 'error', error }),
      onclosed: error => this.#end(error),
    })
    this.#catchUp.poll()
  }

  #up({ chains }: ConnectedFrame): void {
    this.#isBusUp = true
    this.#isShared = this.#tabs.size > 1
    this.#catchUp.live()
    this.#heads(chains)
    this.#tellLink()
    this.#toAll({ op: 'joined', chains })
    this.#subscribe(this.#all(tab => tab.threads.keys()))
    this.#watch(this.#all(tab => tab.watched))
    this.#sendReceipts()
  }

  #deliver(frame: RelayFrame): void {
    switch (frame.op) {
      case 'event':
        if (frame.chain !== undefined) this.#since.set(frame.chain, frame.stamp!)
        return this.#toThread(threadOf(frame), frame.own ? { ...frame, shared: this.#isShared } : frame)
      case 'subscribed': {
        this.#heads(frame.chains)
        const { op: _, id: _id, ...joined } = frame as typeof frame & { id?: number }
        return this.#toAll({ op: 'joined', ...joined })
      }
      case 'gap':
        for (const [chain, head] of Object.entries(frame.chains)) this.#since.set(chain, head)
        return this.#toAll(frame)
      case 'presence':
        return this.#toThread(frame.thread, frame)
      case 'members':
        this.#toAll(frame)
        // Let in again.
        if (frame.perms.includes('read') && this.#all(tab => tab.threads.keys()).includes(frame.thread))
          this.#subscribe([frame.thread])
        return
      case 'online':
        return this.#toAll(frame)
      case 'status':
        this.#isBusUp = frame.bus === 'up'
        if (this.#isBusUp) this.#catchUp.live()
        else this.#catchUp.poll()
        return this.#tellLink()
    }
  }

  #subscribe(threads: readonly string[]): void {
    const session = this.#session
    if (!session?.connected) return
    const groups = new Map<string, string[]>()
    for (const thread of threads) {
      const wishes = [...this.#tabs.values()].flatMap(tab => tab.threads.get(thread) ?? [])
      const presence = wishes.some(wish => wish.presence) || undefined
      const key = JSON.stringify({ presence, grant: wishes.flatMap(wish => wish.grant ?? []).at(-1) })
      groups.set(key, [...(groups.get(key) ?? []), thread])
    }
    for (const [wish, all] of groups) {
      for (let at = 0; at < all.length; at += THREADS_AT_ONCE) {
        const some = all.slice(at, at + THREADS_AT_ONCE)
        const since = Object.fromEntries(some.map(thread => ['thread:' + thread, this.#since.get('thread:' + thread)]))
        this.#subscribing++
        session
          .request({ op: 'subscribe', threads: some, since, ...(JSON.parse(wish) as object) })
          .catch((error: RelayError) => this.#notSubscribed(some, error))
          .finally(() => this.#subscribing--)
      }
    }
  }

  #notSubscribed(threads: readonly string[], error: RelayError): void {
    const told = refusalOf(error, '')
    // When the connection is gone, the next one begins with all threads.
    if (error.code === 'closed') return
    if (error.code === 'timeout') this.#session?.reconnect()
    else if (error.retryAfter)
      this.#timers.set('again' + threads[0], error.retryAfter * PAUSE_MS, () => this.#subscribe(threads))
    else this.#toAll({ op: 'joined', chains: {}, refused: Object.fromEntries(threads.map(thread => [thread, told])) })
  }

  #unsubscribe(threads: readonly string[]): void {
    const wanted = new Set(this.#all(tab => tab.threads.keys()))
    const left = threads.filter(thread => !wanted.has(thread))
    for (const thread of left) this.#since.delete('thread:' + thread)
    this.#tell({ op: 'unsubscribe', threads: left }, left)
  }

  #watch(users: readonly string[]): void {
    this.#tell({ op: 'watch', users }, users)
  }

  #unwatch(users: readonly string[]): void {
    const watched = new Set(this.#all(tab => tab.watched))
    const left = users.filter(user => !watched.has(user))
    this.#tell({ op: 'unwatch', users: left }, left)
  }

  /** Sends what the relay answers by itself to all; a refusal goes to all as an error. */
  #tell(frame: { op: string } & Record<string, unknown>, about: readonly string[]): void {
    if (about.length === 0 || !this.#session?.connected) return
    this.#session.request(frame).catch((error: RelayError) => {
      if (error.code !== 'closed') this.#toAll({ op: 'error', error: refusalOf(error, '') })
    })
  }

  async #call(port: TabPort, call: number, frame: CallFrame): Promise<void> {
    try {
      const session = this.#session!
      const value = frame.op === 'refresh' ? await session.refresh() : await session.request(frame)
      if (frame.op === 'send') this.#echo(port, frame)
      port.post({ op: 'answer', call, value })
    } catch (error) {
      port.post({ op: 'answer', call, error: refusalOf(error, 'token_callback') })
    }
  }

  /** A send reaches all but the connection that sent it: the other tabs on it get it here. */
  #echo(from: TabPort, { thread, type, data, to }: CallFrame & { op: 'send' }): void {
    const me = this.#session?.connected
    if (!me || (to && !('user' in to ? to.user === me.user : to.connection === me.connection))) return
    const sender = { user: me.user, connection: me.connection }
    const id = `${me.connection}.${++this.#lastQuestion}`
    this.#toThread(thread, { op: 'event', id, type, thread, data, at: Date.now(), sender }, from)
  }

  #sendReceipts(): void {
    this.#timers.clear('receipts')
    if (!this.#session?.connected) return
    const receipts = [...this.#receipts]
    this.#receipts.clear()
    for (let at = 0; at < receipts.length; at += RECEIPTS_AT_ONCE)
      this.#session.send({ op: 'receipt', receipts: receipts.slice(at, at + RECEIPTS_AT_ONCE) })
  }

  /** Asks the newest tab, one that is seen if there is; when it goes away or says nothing, the next. */
  async #ask(what: Question, chains?: Readonly<Record<string, Place>>): Promise<unknown> {
    const tried = new Set<TabPort>()
    for (;;) {
      const tabs = [...this.#tabs].filter(([port, tab]) => tab.isReady && !tried.has(port)).reverse()
      const [port] = tabs.find(([, tab]) => tab.isVisible) ?? tabs[0] ?? []
      if (!port) throw new RelayError(refusal('timeout', 'no page has answered'))
      tried.add(port)
      const question = ++this.#lastQuestion
      try {
        return await new Promise((resolve, reject) => {
          this.#questions.set(question, { tab: port, resolve, reject })
          this.#timers.set('question' + question, ANSWER_MS, () => this.#unanswered(question))
          port.post({ op: 'question', question, what, ...(chains && { chains }) })
        })
      } catch (error) {
        if ((error as RelayError).code !== 'timeout') throw error
      }
    }
  }

  #unanswered(question: number): void {
    this.#answered(question)?.reject(new RelayError(refusal('timeout', 'the page has not answered')))
  }

  #answered(question: number): Waiting | undefined {
    const waiting = this.#questions.get(question)
    this.#questions.delete(question)
    this.#timers.clear('question' + question)
    return waiting
  }

  #leave(port: TabPort): void {
    const tab = this.#tabs.get(port)
    if (!tab) return
    this.#tabs.delete(port)
    this.#catchUp.forget(port)
    if (this.#tabs.size === 0) return this.#end(refusal('closed', 'no page is left'))
    for (const [question, waiting] of this.#questions) if (waiting.tab === port) this.#unanswered(question)
    this.#unsubscribe([...tab.threads.keys()])
    this.#unwatch([...tab.watched])
  }

  /** Ends the session and sends everybody away. A tab that attaches later begins another. */
  #end(error: Refusal): void {
    const tabs = [...this.#tabs.keys()]
    this.#tabs.clear()
    this.#session?.close()
    this.#session = undefined
    this.#catchUp.close()
    for (const question of this.#questions.keys()) this.#unanswered(question)
    this.#timers.clearAll()
    this.#since.clear()
    this.#receipts.clear()
    for (const port of tabs) {
      port.post({ op: 'closed', error })
      port.close()
    }
  }

  #tellLink(port?: TabPort): void {
    const { connection, user } = this.#session?.connected ?? {}
    const isLive = connection !== undefined && this.#isBusUp
    const link: ToTab = {
      op: 'link',
      ...(connection !== undefined && { connection }),
      ...(user !== undefined && { user }),
      isLive,
      isPolling: !isLive && this.#catchUp.isPolling && this.#isReached,
    }
    if (port) port.post(link)
    else this.#toAll(link)
  }

  /** Takes a tab's stamp for a chain of which nothing is known. */
  #start(chain: string, stamp: number): void {
    if (!this.#since.has(chain)) this.#since.set(chain, stamp)
  }

  #heads(chains: Readonly<Record<string, ChainEntry>>): void {
    for (const [chain, { head }] of Object.entries(chains)) this.#since.set(chain, head)
  }

  #entry(chain: string): ChainEntry {
    return { head: this.#since.get(chain) ?? 0, state: 'current' }
  }

  #all(of: (tab: Tab) => Iterable<string>): string[] {
    return [...new Set([...this.#tabs.values()].flatMap(tab => [...of(tab)]))]
  }

  #toAll(message: ToTab): void {
    for (const port of this.#tabs.keys()) port.post(message)
  }

  #toThread(thread: string | undefined, message: ToTab, but?: TabPort): void {
    for (const [port, tab] of this.#tabs)
      if (port !== but && (thread === undefined || tab.threads.has(thread))) port.post(message)
  }
}

/** Returns the thread whose subscribers an event is for; undefined if it is for all tabs. */
function threadOf({ chain, thread, sender }: EventFrame): string | undefined {
  return chain?.startsWith('thread:') ? chain.slice(7) : sender && thread
}

/** Returns what a page gave as its token; undefined if that is nothing. */
function credentials(told: unknown): Credentials | undefined {
  const { token, licence } = (
    typeof told === 'object' && told !== null ? told : { token: told }
  ) as Partial<Credentials>
  if (typeof token !== 'string' || token === '') return undefined
  return { token: token.trim(), ...(licence !== undefined && { licence }) }
}
