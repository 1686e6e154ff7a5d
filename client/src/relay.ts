/** What an application sees of the client: docs/client.md. */
import type { RelayError } from './errors.ts'
import type { RelayEvent } from './events.ts'
import type { Member } from './frames.ts'
import type { FetchedEvent, Place } from './port.ts'

type Answer<T> = T | Promise<T>

/** Returns the events of these chains that came after `after`, oldest first. */
export type Fetch = (chains: Readonly<Record<string, Place>>) => Answer<readonly FetchedEvent[]>

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
  /** The stamp of the thread's chain, as in `since` of `connect`. */
  readonly since?: number
  /** A grant, for a thread that the token does not name. */
  readonly grant?: string
}

export type State = 'live' | 'catching-up' | 'polling' | 'offline'
export type Members = ReadonlyMap<string, Omit<Member, 'user'>>
export type To = { readonly user: string } | { readonly connection: string }

export interface Presence {
  /** Everybody by user id; undefined above 500. */
  readonly members: Members | undefined
  readonly count: number
  readonly joined: readonly Member[]
  readonly left: readonly string[]
}

export interface ThreadEvents<Data> {
  event: RelayEvent<Data>
  presence: Presence
  /** The subscription has ended: the thread is refused now. */
  error: RelayError
}

export interface RelayEvents<Data> {
  event: RelayEvent<Data>
  /** `since`: when it became so, in milliseconds since 1970. */
  state: { readonly state: State; readonly since: number }
  online: { readonly users: Readonly<Record<string, boolean>> }
  members: { readonly thread: string; readonly perms: readonly string[] }
  /** What no promise told. */
  error: RelayError
  /** For good: nothing more will be tried. */
  closed: RelayError
}

/** Listens. Returns a function that takes the listener off. `Types` has the `data` of each event type. */
export interface On<Types extends object, Events> {
  <T extends keyof Types & string>(name: `event:${T}`, listener: (event: RelayEvent<Types[T]>) => void): () => void
  <K extends keyof Events>(name: K, listener: (value: Events[K]) => void): () => void
}

/** A page's subscription to a thread. */
export interface Thread<Types extends object = Record<string, unknown>> {
  readonly id: string
  /** Resolves when subscribed; rejects with the relay's refusal. */
  readonly ready: Promise<void>
  /** Who is there by user id: undefined above 500, and before `presence: true` was answered. */
  readonly members: Members | undefined
  readonly count: number
  on: On<Types, ThreadEvents<Types[keyof Types]>>
  /** Sends an event to whoever is there now, or to one user or connection of them. Resolves when the relay has it. */
  send(type: string, data?: unknown, options?: { to?: To }): Promise<void>
  unsubscribe(): void
}

/** Whether some users are online, kept up to date until `close`. */
export interface Watch {
  /** What is known so far, by user id. */
  readonly online: ReadonlyMap<string, boolean>
  on(name: 'change', listener: (change: { readonly users: Readonly<Record<string, boolean>> }) => void): () => void
  close(): void
}

export interface Relay<Types extends object = Record<string, unknown>> {
  readonly state: State
  /** The id of the relay's connection, for the origin's `except`. All tabs that share it have the same. */
  readonly connection: string | undefined
  /** The user that the token is for, once the relay has said it. */
  readonly user: string | undefined
  /** Resolves when `state` is `live` for the first time; rejects when it is closed before. */
  readonly ready: Promise<void>
  on: On<Types, RelayEvents<Types[keyof Types]>>
  /** Subscribes to a thread; several subscriptions of a page share what is known of it. */
  subscribe(thread: string | number, options?: SubscribeOptions): Thread<Types>
  /** Follows whether users are online. */
  watch(users: readonly (string | number)[]): Watch
  /** Asks who is in a thread, once. */
  presence(thread: string | number): Promise<{ readonly members: readonly Member[]; readonly count: number }>
  /** Gets a new token and gives it to the relay now. */
  refresh(): Promise<void>
  /** Says that the page shows this event already: it is not given to listeners again. */
  saw(id: string | number): void
  /** Drops the connection and makes another at once. */
  reconnect(): void
  /** Ends it for this page: no listener is called any more, and nothing is left that could keep a process alive. */
  close(): void
}
