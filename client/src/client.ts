/** One page: its listeners, its threads, its place in every chain. What it needs of the relay it asks of the hub. */
import { Chains } from './chains.ts'
import { RelayError, refusal, refusalOf } from './errors.ts'
import { Emitter, type RelayEvent, toEvent } from './events.ts'
import type { Member, MembersFrame, PresenceFrame, Refusal } from './frames.ts'
import type { CallFrame, FetchedEvent, Place, Port, Question, ThreadWish, ToTab } from './port.ts'
import { Ready, Thread, Topic } from './thread.ts'
import { Timers } from './timers.ts'
import type { PresenceNews } from './view.ts'
import { Watch } from './watch.ts'

export type State = 'live' | 'catching-up' | 'polling' | 'offline'
type Places = Readonly<Record<string, Place>>
type Answer<T> = T | Promise<T>
/** Returns the events of these chains that came after `after`, oldest first. */
export type Fetch = (chains: Places) => Answer<readonly FetchedEvent[]>
export type Token = string | { readonly token: string; readonly licence?: string }

export interface ClientOptions {
  /** A user token, or what gets one. `null` or an empty one: there is none for this user any more. */
  readonly token: Token | (() => Answer<Token | null | undefined>)
  /** The stamps of chains as the origin had read them before it made this page. */
  readonly since?: Readonly<Record<string, number>>
  readonly fetchSince?: Fetch
  /** Instead of `fetchSince` while there is no connection; `false`: no polling. */
  readonly poll?: Fetch | false
  /** Whether to confirm delivery of events that ask for it; so it is if left out. */
  readonly receipts?: boolean
}

export interface SubscribeOptions {
  /** Whether to be told who is there. */
  readonly presence?: boolean
  readonly since?: number
  /** A grant, for a thread that the token does not name. */
  readonly grant?: string
}

export interface RelayEvents<Data> {
  event: RelayEvent<Data>
  state: { readonly state: State /** Milliseconds since 1970. */; readonly since: number }
  online: { readonly users: Readonly<Record<string, boolean>> }
  members: { readonly thread: string; readonly perms: readonly string[] }
  error: RelayError
  closed: RelayError
}

interface Call {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: RelayError) => void
}

const ANSWER_MS = 10_000
const CLOSED = refusal('closed', 'the client is closed')
/** As the relay has it (docs/protocol.md, Words): a wrong one would spoil the frame that it is in with others. */
const ID = /^(?!\.*$|__proto__$)[\w.:@-]{1,128}$/

export class Client<Types extends object = Record<string, unknown>> {
  readonly #options: ClientOptions
  readonly #port: Port
  readonly #emitter = new Emitter()
  readonly #timers = new Timers()
  readonly #chains: Chains
  readonly #topics = new Map<string, Topic>()
  readonly #watches = new Set<Watch>()
  readonly #calls = new Map<number, Call>()
  readonly #ready = new Ready()
  readonly #unlisten: () => void
  #lastCall = 0
  #link: ToTab & { op: 'link' } = { op: 'link', isLive: false, isPolling: false }
  #state: State = 'offline'
  #isClosed = false

  constructor(options: ClientOptions, port: Port) {
    this.#options = options
    this.#port = port
    this.#chains = new Chains({
      give: event => this.#give(event),
      ask: (chains, within, isPoll) => this.#ask(chains, within, isPoll),
    })
    for (const chain of ['user', 'site']) this.#chains.follow(chain, options.since?.[chain])
    port.onopen = () => this.#hello()
    port.onmessage = message => {
      if (!this.#isClosed) this.#receive(message)
    }
    this.#unlisten = this.#listen()
  }

  get state(): State {
    return this.#state
  }

  /** The id of the relay's connection, for the origin's `except`. All tabs that share it have the same. */
  get connection(): string | undefined {
    return this.#link.connection
  }

  /** The user that the token is for, once the relay has said it. */
  get user(): string | undefined {
    return this.#link.user
  }

  /** Resolves when `state` is `live` for the first time; rejects when it is closed before. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** Returns a function that takes the listener off. */
  on<T extends keyof Types & string>(name: `event:${T}`, listener: (event: RelayEvent<Types[T]>) => void): () => void
  on<K extends keyof RelayEvents<Types[keyof Types]>>(
    name: K,
    listener: (value: RelayEvents<Types[keyof Types]>[K]) => void,
  ): () => void
  on(name: string, listener: (value: never) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  /** Subscribes to a thread; several subscriptions of a page share what is known of it. */
  subscribe(thread: string | number, { presence, since, grant }: SubscribeOptions = {}): Thread<Types> {
    const id = checked(thread)
    let topic = this.#topics.get(id)
    const wish: ThreadWish = { presence: presence ?? topic?.wish.presence, grant: grant ?? topic?.wish.grant }
    if (!topic) {
      const stamp = since ?? this.#options.since?.['thread:' + id]
      topic = new Topic(id, wish)
      this.#topics.set(id, topic)
      this.#chains.follow('thread:' + id, stamp)
      this.#port.post({ op: 'subscribe', thread: id, wish, ...(stamp !== undefined && { since: stamp }) })
      if (this.#isClosed) topic.ready.reject(new RelayError(CLOSED))
      this.#tellState()
    } else if (JSON.stringify(topic.wish) !== JSON.stringify(wish)) {
      topic.wish = wish
      this.#port.post({ op: 'subscribe', thread: id, wish })
    }
    const own = topic
    return new Thread<Types>(
      own,
      frame => this.#call(frame),
      handle => {
        if (own.handles.delete(handle) && own.handles.size === 0 && this.#drop(own))
          this.#port.post({ op: 'unsubscribe', thread: id })
      },
    )
  }

  /** Follows whether users are online. */
  watch(users: readonly (string | number)[]): Watch {
    const watch = new Watch(users.map(checked), () => {
      this.#watches.delete(watch)
      const others = new Set([...this.#watches].flatMap(({ users }) => users))
      this.#port.post({ op: 'unwatch', users: watch.users.filter(user => !others.has(user)) })
    })
    this.#watches.add(watch)
    this.#port.post({ op: 'watch', users: watch.users })
    return watch
  }

  /** Asks who is in a thread, once. */
  async presence(thread: string | number): Promise<{ members: readonly Member[]; count: number }> {
    const { members = [], count } = (await this.#call({ op: 'presence', thread: checked(thread) })) as PresenceFrame
    return { members, count }
  }

  /** Gets a new token and gives it to the relay now. */
  async refresh(): Promise<void> {
    await this.#call({ op: 'refresh' })
  }

  /** Says that the page shows this event already: it is not given to listeners again. */
  saw(id: string | number): void {
    this.#chains.saw(String(id))
  }

  /** Drops the connection and makes another at once. */
  reconnect(): void {
    this.#port.post({ op: 'reconnect' })
  }

  /** Ends it for this page: no listener is called any more, and nothing is left that could keep a process alive. */
  close(): void {
    this.#emitter.clear()
    this.#end(CLOSED)
  }

  #hello(): void {
    this.#port.post({
      op: 'hello',
      isVisible: isVisible(),
      since: this.#chains.since(),
      threads: Object.fromEntries([...this.#topics].map(([id, { wish }]) => [id, wish])),
      watch: [...this.#watches].flatMap(({ users }) => users),
    })
    this.#chains.reopened()
    this.#settleCalls(refusal('not_connected', 'the session has moved to another tab'))
  }

  #receive(message: ToTab): void {
    switch (message.op) {
      case 'link':
        return this.#linked(message)
      case 'joined':
        return this.#joined(message)
      case 'event':
        if (message.receipt !== undefined && this.#options.receipts !== false)
          this.#port.post({ op: 'receipt', receipt: message.receipt })
        if (message.chain === undefined) this.#give(toEvent(message, 'live'))
        else this.#chains.event(message)
        return
      case 'gap':
        return this.#chains.gap(message.chains, message.within ?? 0)
      case 'poll':
        return this.#chains.poll()
      case 'asking':
        return this.#chains.asking(message.chains)
      case 'fetched':
        for (const name of message.chains)
          this.#chains.fetched(
            name,
            message.events?.filter(({ chain }) => chain === name),
          )
        return this.#tellState()
      case 'presence': {
        const topic = this.#topics.get(message.thread)
        return topic && this.#present(topic, message)
      }
      case 'online':
        this.#emitter.emit('online', { users: message.users })
        for (const watch of this.#watches) watch.take(message.users)
        return
      case 'members':
        return this.#members(message)
      case 'answer': {
        const { call, value, error } = message
        const waiting = this.#settle(call)
        if (error) waiting?.reject(new RelayError(error))
        else waiting?.resolve(value)
        return
      }
      case 'question':
        return void this.#answer(message)
      case 'error':
        return this.#emitter.emit('error', new RelayError(message.error))
      case 'closed':
        return this.#end(message.error)
    }
  }

  #linked(link: ToTab & { op: 'link' }): void {
    const { user } = this.#link
    if (link.connection === undefined) this.#chains.lost()
    this.#link = { ...link, ...(user !== undefined && { user: link.user ?? user }) }
    // What this page shows is the first one's.
    if (user !== undefined && this.user !== user)
      return this.#end(refusal('user_changed', 'the token is for another user now'))
    this.#tellState()
  }

  #joined({ chains, presence = {}, refused = {} }: ToTab & { op: 'joined' }): void {
    this.#chains.joined(chains)
    for (const topic of this.#topics.values()) {
      const news = presence[topic.id]
      const no = refused[topic.id]
      if (chains['thread:' + topic.id]) topic.joined()
      if (news) this.#present(topic, news)
      if (no && this.#drop(topic)) {
        this.#port.post({ op: 'unsubscribe', thread: topic.id })
        topic.refuse(no)
      }
    }
    this.#tellState()
  }

  #present(topic: Topic, news: PresenceNews): void {
    const isOff = topic.view.take(news)
    if (news.members) topic.isAsking = false
    const { members, count } = topic.view
    topic.emit('presence', { members, count, joined: news.joined ?? [], left: news.left ?? [] })
    if (!isOff || !topic.wish.presence || topic.isAsking) return
    topic.isAsking = true
    // The answer comes as a frame, in its place among the changes.
    this.#call({ op: 'presence', thread: topic.id }).catch(() => {
      topic.isAsking = false
    })
  }

  #members({ thread, perms }: MembersFrame): void {
    // Not to be waited for; if it is let in again, the hub subscribes again.
    if (!perms.includes('read')) this.#chains.out('thread:' + thread)
    this.#emitter.emit('members', { thread, perms })
    this.#tellState()
  }

  #give(event: RelayEvent): void {
    const { thread, chain } = event
    this.#emitter.emitEvent(event)
    // What a user is told about a thread (`chain: user`) is no event of that thread.
    if (thread !== undefined && (chain ?? 'thread:').startsWith('thread:')) this.#topics.get(thread)?.emitEvent(event)
  }

  #ask(chains: Places, within: number, isPoll: boolean): void {
    this.#port.post({ op: 'ask', chains, within, isPoll })
    this.#tellState()
  }

  async #answer({ question, what, chains = {} }: ToTab & { op: 'question' }): Promise<void> {
    try {
      const value = await (what === 'token' ? this.#token() : this.#fetch(what, chains))
      this.#port.post({ op: 'told', question, value })
    } catch (error) {
      const told = refusalOf(error, what + '_callback')
      this.#port.post({ op: 'told', question, error: told })
      // That of the token is told by the hub, to all tabs; a poll that fails shows as `offline`.
      if (what === 'fetch') this.#emitter.emit('error', new RelayError(told))
    }
  }

  #token(): Answer<Token | null | undefined> {
    const { token } = this.#options
    return typeof token === 'function' ? token() : token
  }

  #fetch(what: Question, chains: Places): Answer<readonly FetchedEvent[]> {
    const { poll, fetchSince } = this.#options
    return ((what === 'poll' && poll) || fetchSince)?.(chains) ?? []
  }

  #call(frame: CallFrame): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new RelayError(CLOSED))
    // A new token may be what a connection waits for.
    if (this.connection === undefined && frame.op !== 'refresh')
      return Promise.reject(new RelayError(refusal('not_connected', 'there is no connection to the relay')))
    const call = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      this.#timers.set('call' + call, ANSWER_MS, () =>
        this.#settle(call)?.reject(new RelayError(refusal('timeout', 'no answer to ' + frame.op))),
      )
      this.#port.post({ op: 'call', call, frame })
    })
  }

  #settle(call: number): Call | undefined {
    const waiting = this.#calls.get(call)
    this.#calls.delete(call)
    this.#timers.clear('call' + call)
    return waiting
  }

  #settleCalls(error: Refusal): void {
    for (const call of this.#calls.keys()) this.#settle(call)?.reject(new RelayError(error))
  }

  #drop(topic: Topic): boolean {
    this.#chains.leave('thread:' + topic.id)
    const isDropped = this.#topics.delete(topic.id)
    this.#tellState()
    return isDropped
  }

  #tellState(): void {
    const { isLive, isPolling } = this.#link
    const isWhole = this.#chains.isJoined && this.#chains.isWhole
    const state = isLive ? (isWhole ? 'live' : 'catching-up') : isPolling ? 'polling' : 'offline'
    if (state === 'live') this.#ready.resolve()
    if (state === this.#state) return
    this.#state = state
    this.#emitter.emit('state', { state, since: Date.now() })
  }

  #end(refused: Refusal): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unlisten()
    this.#port.close()
    const error = new RelayError(refused)
    this.#ready.reject(error)
    this.#settleCalls(refused)
    for (const topic of this.#topics.values()) topic.ready.reject(error)
    this.#link = { op: 'link', isLive: false, isPolling: false }
    this.#tellState()
    this.#emitter.emit('closed', error)
    this.#emitter.clear()
    for (const topic of this.#topics.values()) for (const handle of topic.handles) handle.clear()
  }

  #listen(): () => void {
    const onvisible = (): void => this.#port.post({ op: 'visible', isVisible: isVisible() })
    const ononline = (): void => this.#port.post({ op: 'online' })
    const isPage = typeof document !== 'undefined'
    if (isPage) document.addEventListener('visibilitychange', onvisible)
    // There is none in Node.
    globalThis.addEventListener?.('online', ononline)
    return () => {
      if (isPage) document.removeEventListener('visibilitychange', onvisible)
      globalThis.removeEventListener?.('online', ononline)
    }
  }
}

function isVisible(): boolean {
  return typeof document === 'undefined' || document.visibilityState === 'visible'
}

function checked(id: string | number): string {
  const text = String(id)
  if (!ID.test(text)) throw new TypeError(`${JSON.stringify(text)} is no id: 1 to 128 of A-Z a-z 0-9 _ . : @ -`)
  return text
}
