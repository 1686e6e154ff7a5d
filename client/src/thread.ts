import { RelayError } from './errors.ts'
import { Emitter, type RelayEvent } from './events.ts'
import type { Member, Refusal } from './frames.ts'
import type { CallFrame, ThreadWish } from './port.ts'
import { View } from './view.ts'

export type To = { readonly user: string } | { readonly connection: string }

export interface Presence {
  /** Everybody by user id; undefined above 500. */
  readonly members: ReadonlyMap<string, Omit<Member, 'user'>> | undefined
  readonly count: number
  readonly joined: readonly Member[]
  readonly left: readonly string[]
}

/** A promise that is settled from outside, and whose rejection nobody has to handle. */
export class Ready {
  readonly promise: Promise<void>
  resolve!: () => void
  reject!: (error: RelayError) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.promise.catch(() => {})
  }
}

/** What a page has of a thread, whatever number of subscriptions it has to it. */
export class Topic {
  readonly id: string
  readonly handles = new Set<Emitter>()
  readonly view = new View()
  readonly ready = new Ready()
  wish: ThreadWish
  /** Whether a snapshot of who is there was asked for. */
  isAsking = false
  #isJoined = false

  constructor(id: string, wish: ThreadWish) {
    this.id = id
    this.wish = wish
  }

  emitEvent(event: RelayEvent): void {
    for (const handle of [...this.handles]) handle.emitEvent(event)
  }

  emit(name: string, value: unknown): void {
    for (const handle of [...this.handles]) handle.emit(name, value)
  }

  joined(): void {
    this.#isJoined = true
    this.ready.resolve()
  }

  /** The thread is not allowed, or no longer. */
  refuse(refused: Refusal): void {
    const error = new RelayError(refused)
    if (this.#isJoined) this.emit('error', error)
    else this.ready.reject(error)
  }
}

export interface ThreadEvents<Data> {
  event: RelayEvent<Data>
  presence: Presence
  /** The subscription has ended: the thread is refused now. */
  error: RelayError
}

/** A page's subscription to a thread. */
export class Thread<Types extends object = Record<string, unknown>> {
  readonly id: string
  readonly #topic: Topic
  readonly #emitter: Emitter
  readonly #call: (frame: CallFrame) => Promise<unknown>
  readonly #leave: () => void

  constructor(topic: Topic, call: (frame: CallFrame) => Promise<unknown>, leave: (own: Emitter) => void) {
    this.id = topic.id
    this.#topic = topic
    this.#emitter = new Emitter()
    this.#call = call
    this.#leave = () => leave(this.#emitter)
    topic.handles.add(this.#emitter)
  }

  /** Resolves when subscribed; rejects with the relay's refusal. */
  get ready(): Promise<void> {
    return this.#topic.ready.promise
  }

  /** Who is there by user id: undefined above 500, and before `presence: true` was answered. */
  get members(): Presence['members'] {
    return this.#topic.view.members
  }

  get count(): number {
    return this.#topic.view.count
  }

  /** Returns a function that takes the listener off. */
  on<T extends keyof Types & string>(name: `event:${T}`, listener: (event: RelayEvent<Types[T]>) => void): () => void
  on<K extends keyof ThreadEvents<Types[keyof Types]>>(
    name: K,
    listener: (value: ThreadEvents<Types[keyof Types]>[K]) => void,
  ): () => void
  on(name: string, listener: (value: never) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  /** Sends an event to whoever is there now, or to one user or connection of them. Resolves when the relay has it. */
  async send(type: string, data: unknown = null, { to }: { to?: To } = {}): Promise<void> {
    await this.#call({ op: 'send', thread: this.id, type, data, ...(to && { to }) })
  }

  unsubscribe(): void {
    this.#emitter.clear()
    this.#leave()
  }
}
