/**
 * How a page (client.ts) and the session that it shares with other pages (hub.ts) speak to each other. All messages
 * can be cloned, so that they go to a worker or another tab as well as to the next object.
 */
import type {
  ConnectedFrame,
  EventFrame,
  GapFrame,
  MembersFrame,
  OnlineFrame,
  PresenceFrame,
  Refusal,
  SubscribedFrame,
} from './frames.ts'

/** The tab's end. */
export interface Port {
  /** A session is there, the first or another after the old one went. It knows nothing of this tab. */
  onopen: () => void
  onmessage: (message: ToTab) => void
  /** Sends in order. Dropped while no session is there. */
  post(message: ToHub): void
  /** The tab leaves: the hub's end gets `onclose`. */
  close(): void
}

/** The hub's end, one for each tab. */
export interface TabPort {
  onmessage: (message: ToHub) => void
  /** The tab is gone: closed, crashed, or in the back-forward cache. Not called after `close`. */
  onclose: () => void
  post(message: ToTab): void
  close(): void
}

/** How far a page has a chain: what the application is asked with. */
export interface Place {
  /** The id of the last event that the page has. */
  readonly after?: string | undefined
  readonly stamp?: number | undefined
}

/** An event as the application's own server tells it. */
export interface FetchedEvent {
  readonly id: string | number
  readonly type: string
  /** `thread:42`, `user` or `site`; may be left out if `thread` is there, or if one chain was asked for. */
  readonly chain?: string
  readonly thread?: string
  readonly data?: unknown
  readonly at?: number
  readonly stamp?: number | undefined
}

export interface ThreadWish {
  readonly presence: boolean | undefined
  readonly grant: string | undefined
}

export type Question = 'token' | 'fetch' | 'poll'

export type ToHub =
  /** The first after `onopen`: everything that this tab wants. */
  | {
      readonly op: 'hello'
      readonly isVisible: boolean
      readonly since: Readonly<Record<string, number>>
      readonly threads: Readonly<Record<string, ThreadWish>>
      readonly watch: readonly string[]
    }
  | {
      readonly op: 'subscribe'
      readonly thread: string
      readonly wish: ThreadWish
      readonly since?: number | undefined
    }
  | { readonly op: 'unsubscribe'; readonly thread: string }
  | { readonly op: 'watch' | 'unwatch'; readonly users: readonly string[] }
  /** A frame for the relay whose answer is awaited; `refresh` has no token yet. */
  | { readonly op: 'call'; readonly call: number; readonly frame: CallFrame }
  /** The tab lacks events of these chains: the hub asks for them within so many milliseconds. */
  | {
      readonly op: 'ask'
      readonly chains: Readonly<Record<string, Place>>
      readonly within: number
      readonly isPoll: boolean
    }
  | { readonly op: 'receipt'; readonly receipt: string }
  | { readonly op: 'told'; readonly question: number; readonly value?: unknown; readonly error?: Refusal }
  | { readonly op: 'visible'; readonly isVisible: boolean }
  /** The browser is online again. */
  | { readonly op: 'online' }
  | { readonly op: 'reconnect' }

export type CallFrame =
  | {
      readonly op: 'send'
      readonly thread: string
      readonly type: string
      readonly data: unknown
      readonly to?: { readonly user: string } | { readonly connection: string } | undefined
    }
  | { readonly op: 'presence'; readonly thread: string }
  | { readonly op: 'refresh' }

export type ToTab =
  /** How the session is now: the answer to `hello`, and whenever it changes. */
  | {
      readonly op: 'link'
      readonly connection?: string | undefined
      readonly user?: string | undefined
      /** Connected, and the relay's bus is up. */
      readonly isLive: boolean
      /** Not live, but polling and the last question was answered. */
      readonly isPolling: boolean
    }
  /** What the relay says of chains; `refused` are threads. */
  | ConnectedFrame
  | SubscribedFrame
  /** With `shared` an `own` event may come from another tab, so that this one has to ask for it. */
  | (EventFrame & { readonly shared?: boolean })
  | GapFrame
  | PresenceFrame
  | OnlineFrame
  | MembersFrame
  | { readonly op: 'answer'; readonly call: number; readonly value?: unknown; readonly error?: Refusal }
  | {
      readonly op: 'question'
      readonly question: number
      readonly what: Question
      readonly chains?: Readonly<Record<string, Place>> | undefined
    }
  /** The question about these chains is sent now. It is that of tabs which are at the same place. */
  | { readonly op: 'asking'; readonly chains: Readonly<Record<string, Place>> }
  /** Its answer; none without `events`: that of a poll failed. */
  | { readonly op: 'fetched'; readonly chains: readonly string[]; readonly events?: readonly FetchedEvent[] }
  /** It is time to ask for every chain. */
  | { readonly op: 'poll' }
  | { readonly op: 'error'; readonly error: Refusal }
  /** For good: nothing follows. */
  | { readonly op: 'closed'; readonly error: Refusal }
