/** One page: its listeners, its threads, its place in every chain. What it needs of the relay it asks of the hub. */
import { isVisible, listen } from './browser.ts'
import { createChains } from './chains.ts'
import { own, RelayError, refusalOf } from './errors.ts'
import { createEmitter, emitEvent, type RelayEvent, threadOf, toEvent } from './events.ts'
import type { PresenceFrame, Refusal, SubscribedFrame } from './frames.ts'
import { createPending } from './pending.ts'
import type { CallFrame, Place, Port, ThreadWish, ToTab } from './port.ts'
import type { ClientOptions, Relay, State } from './relay.ts'
import { createThread } from './thread.ts'
import { createReady, createTopic, present, type PresenceNews, refuse, type Topic } from './topic.ts'
import { createWatch, type Watching } from './watch.ts'

const ANSWER_MS = 10_000
const CLOSED = own('closed')
/** As the relay has it (docs/protocol.md, Words): a wrong one would spoil the frame that it is in with others. */
const ID = /^(?!\.*$|__proto__$)[\w.:@-]{1,128}$/

type Places = Readonly<Record<string, Place>>
type Link = ToTab & { readonly op: 'link' }
type Of<Op extends ToTab['op']> = ToTab & { readonly op: Op }

export function createClient<Types extends object>(options: ClientOptions, port: Port): Relay<Types> {
  const emitter = createEmitter()
  const calls = createPending()
  const ready = createReady()
  const topics = new Map<string, Topic>()
  const watches = new Set<Watching>()
  let link: Link = { op: 'link', isLive: false, isPolling: false }
  let state: State = 'offline'
  let isClosed = false

  const tellState = (): void => {
    const { isLive, isPolling } = link
    const now = isLive ? (chains.isWhole() ? 'live' : 'catching-up') : isPolling ? 'polling' : 'offline'
    if (now === 'live') ready.resolve()
    if (now === state) return
    state = now
    emitter.emit('state', { state, since: Date.now() })
  }

  const give = (event: RelayEvent): void => {
    const { thread, chain } = event
    emitEvent(emitter, event)
    // What a user is told about a thread (`chain: user`) is no event of that thread.
    const topic = topics.get((chain ? threadOf(chain) : thread)!)
    if (topic) emitEvent(topic.emitter, event)
  }

  const confirm = (receipt: string | undefined): void => {
    if (receipt && options.receipts !== false) port.post({ op: 'receipt', receipt })
  }

  const ask = (places: Places, within: number, isPoll: boolean): void => {
    port.post({ op: 'ask', chains: places, within, isPoll })
    tellState()
  }

  const chains = createChains(give, ask, confirm)
  for (const chain of ['user', 'site']) chains.follow(chain, options.since?.[chain])

  const call = async (frame: CallFrame): Promise<unknown> => {
    if (isClosed) throw new RelayError(CLOSED)
    // A new token may be what a connection waits for.
    if (!link.connection && frame.op !== 'refresh') throw new RelayError(own('not_connected'))
    return calls.ask(ANSWER_MS, id => port.post({ op: 'call', call: id, frame }))
  }

  const drop = (topic: Topic): void => {
    const { id } = topic
    if (topics.get(id) !== topic) return
    topics.delete(id)
    chains.leave('thread:' + id)
    port.post({ op: 'unsubscribe', thread: id })
    tellState()
  }

  const takePresence = (topic: Topic | undefined, news: PresenceNews): void => {
    if (!topic || !present(topic, news) || !topic.wish.presence || topic.isAsking) return
    topic.isAsking = true
    // The answer comes as a frame, in its place among the changes.
    call({ op: 'presence', thread: topic.id }).catch(() => {
      topic.isAsking = false
    })
  }

  const joined = ({ chains: entries, presence = {}, refused = {} }: Omit<SubscribedFrame, 'op'>): void => {
    chains.joined(entries)
    for (const topic of topics.values()) {
      const { id } = topic
      if (entries['thread:' + id]) {
        topic.isJoined = true
        topic.ready.resolve()
      }
      if (presence[id]) takePresence(topic, presence[id])
      if (refused[id]) {
        drop(topic)
        refuse(topic, refused[id])
      }
    }
    tellState()
  }

  const answer = async ({ question, what, chains: places = {} }: Of<'question'>): Promise<void> => {
    const { token, poll, fetchSince } = options
    try {
      const value = await (what === 'token'
        ? typeof token === 'function'
          ? token()
          : token
        : (((what === 'poll' && poll) || fetchSince)?.(places) ?? []))
      port.post({ op: 'told', question, value })
    } catch (error) {
      const told = refusalOf(error, what + '_callback')
      port.post({ op: 'told', question, error: told })
      // That of the token is told by the hub, to all tabs; a poll that fails shows as `offline`.
      if (what === 'fetch') emitter.emit('error', new RelayError(told))
    }
  }

  const end = (refused: Refusal): void => {
    if (isClosed) return
    isClosed = true
    unlisten()
    port.close()
    const error = new RelayError(refused)
    ready.reject(error)
    calls.fail(refused)
    link = { op: 'link', isLive: false, isPolling: false }
    tellState()
    emitter.emit('closed', error)
    emitter.clear()
    for (const topic of topics.values()) {
      topic.ready.reject(error)
      topic.emitter.clear()
    }
  }

  const handlers: { [Op in ToTab['op']]: (message: Of<Op>) => void } = {
    link(message) {
      const user = message.user ?? link.user
      if (!message.connection) chains.lost()
      // What this page shows is the first one's.
      if (link.user && user !== link.user) return end(own('user_changed'))
      link = { ...message, user }
      tellState()
    },
    connected: joined,
    subscribed: joined,
    event(event) {
      if (event.chain) return chains.event(event)
      give(toEvent(event, 'live'))
      confirm(event.receipt)
    },
    gap: ({ chains: heads, within = 0 }) => chains.gap(heads, within),
    poll: chains.poll,
    asking: ({ chains: places }) => chains.asking(places),
    fetched({ chains: names, events }) {
      for (const name of names)
        chains.fetched(
          name,
          events?.filter(({ chain }) => chain === name),
        )
      tellState()
    },
    presence: news => takePresence(topics.get(news.thread), news),
    online({ users }) {
      emitter.emit('online', { users })
      for (const watch of watches) watch.take(users)
    },
    members({ thread, perms }) {
      // Not to be waited for; if it is let in again, the hub subscribes again.
      if (!perms.includes('read')) chains.out('thread:' + thread)
      emitter.emit('members', { thread, perms })
      tellState()
    },
    answer: ({ call: id, error, value }) => calls.settle(id, error, value),
    question: message => void answer(message),
    error: ({ error }) => emitter.emit('error', new RelayError(error)),
    closed: ({ error }) => end(error),
  }

  port.onmessage = message => {
    if (isClosed) return
    try {
      ;(handlers[message.op] as (message: ToTab) => void)(message)
    } catch (error) {
      emitter.emit('error', new RelayError({ code: 'bad_frame', message: String(error) }))
    }
  }
  port.onopen = () => {
    port.post({
      op: 'hello',
      isVisible: isVisible(),
      since: chains.since(),
      threads: Object.fromEntries([...topics].map(([id, { wish }]) => [id, wish])),
      watch: [...watches].flatMap(({ users }) => users),
    })
    chains.reopened()
    calls.fail(own('not_connected'))
  }
  const unlisten = listen(port)

  return {
    get state() {
      return state
    },
    get connection() {
      return link.connection
    },
    get user() {
      return link.user
    },
    ready: ready.promise,
    on: emitter.on,
    subscribe(thread, { presence, since, grant } = {}) {
      const id = checked(thread)
      const known = topics.get(id)
      const wish: ThreadWish = { presence: presence ?? known?.wish.presence, grant: grant ?? known?.wish.grant }
      const topic = known ?? createTopic(id, wish)
      topic.wish = wish
      topics.set(id, topic)
      if (isClosed) topic.ready.reject(new RelayError(CLOSED))
      if (!known) chains.follow('thread:' + id, since ?? options.since?.['thread:' + id])
      if (!known || presence || grant)
        port.post({ op: 'subscribe', thread: id, wish, since: chains.since()['thread:' + id] })
      tellState()
      return createThread(topic, call, () => drop(topic))
    },
    watch(users) {
      const watching = createWatch(users.map(checked), own => {
        watches.delete(own)
        const others = new Set([...watches].flatMap(({ users }) => users))
        port.post({ op: 'unwatch', users: own.users.filter(user => !others.has(user)) })
      })
      watches.add(watching)
      port.post({ op: 'watch', users: watching.users })
      return watching.watch
    },
    async presence(thread) {
      const { members = [], count } = (await call({ op: 'presence', thread: checked(thread) })) as PresenceFrame
      return { members, count }
    },
    async refresh() {
      await call({ op: 'refresh' })
    },
    saw: id => chains.saw(String(id)),
    reconnect: () => port.post({ op: 'reconnect' }),
    close() {
      emitter.clear()
      end(CLOSED)
    },
  }
}

function checked(id: string | number): string {
  if (!ID.test(String(id))) throw new TypeError('wrong id: ' + id)
  return String(id)
}
