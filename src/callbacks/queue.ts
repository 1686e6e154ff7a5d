import type { EventId, EventType, SiteId, ThreadId, UserId } from '../protocol/ids.ts'

/** Something that a site is to be told. */
export interface Fact {
  readonly id: EventId
  readonly type: EventType
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly thread?: ThreadId
  readonly user?: UserId
  /** JSON. */
  readonly data?: string
  /** Of a fact that a later one overtakes: the name of what it is the state of, and which of two is the later. */
  readonly state?: { readonly name: string; readonly version: number }
}

/** What a site has been told, or is to be told next. */
export interface Batch {
  /** The `webhook-id`. */
  readonly id: string
  /** Which attempt at this site it is, since the last success: 1 is the first. */
  readonly attempt: number
  readonly body: string
  /** Proves, to `done` and `renew`, that the site is still ours. */
  readonly token: string
  /** The place of its last fact. */
  readonly last: string
}

export type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: string }
  | { readonly kind: 'gone'; readonly error: string }

/** In the order of what is told when several are true. */
export const STATES = ['paused', 'gone', 'delivering', 'waiting', 'idle'] as const

/** How a site's queue stands. */
export interface QueueStatus {
  readonly state: (typeof STATES)[number]
  readonly depth: number
  /** When the oldest fact came, in milliseconds since the epoch; so are the others. */
  readonly oldest: number | undefined
  readonly next: number | undefined
  readonly error: { readonly at: number; readonly message: string } | undefined
}

export interface Next {
  /** Milliseconds after which it is worth to `take`; undefined when nothing waits, or another node is at it. */
  readonly waitMs: number | undefined
  /** Facts that were given up. */
  readonly dropped: number
}

/**
 * What sites are still to be told, in order, each site on its own. One process needs memory.ts, a cluster redis.ts;
 * test/contract/callback-queue.ts holds both to it. All methods reject when it is not known whether they were done; then
 * the same call is safe, but facts without a state may be told twice, under the same id.
 */
export interface CallbackQueue {
  /**
   * Puts facts at the end, in their order. A fact takes the place of a waiting one of the same state, and is ignored when
   * a later one is known. `config` stands for how the site is told: facts for one that was gone are dropped.
   */
  add(site: SiteId, config: string, facts: readonly Fact[]): Promise<Next>
  /**
   * Takes the site until `done`, or until LEASE has passed since the last `renew`, and returns what it is to be told now.
   * What has been tried comes again with the same id, unless facts in it were overtaken since.
   */
  take(site: SiteId): Promise<Batch | Next>
  /** Keeps sites that were taken. */
  renew(taken: ReadonlyMap<SiteId, Batch>): Promise<void>
  /** Gives the site back. What was told is removed; `gone` drops all, until `config` is another. */
  done(site: SiteId, config: string, batch: Batch, outcome: Outcome): Promise<Next>
  /** Returns sites that wait for somebody to take them. Keeps what is paused so, for a month. */
  due(): Promise<SiteId[]>
  status(site: SiteId): Promise<QueueStatus>
  /** Lets the site be tried at once, be it gone or not; but not while it is paused. */
  retry(site: SiteId): Promise<void>
  /** Lets nobody take the site until `resume`. Facts are added as before; what is under way comes to its end. */
  pause(site: SiteId): Promise<void>
  /** Lets the site be taken again, at once. */
  resume(site: SiteId): Promise<void>
  /** Removes all that waits, what is under way included, and returns how many facts that were. Those to come are not concerned. */
  drop(site: SiteId): Promise<number>
}

/** Milliseconds. A killed node's sites are taken over after this, when another looks. */
export const LEASE = 6000
/** When a batch closes (CONTRACT 34). */
export const CLOSE = { facts: 100, ms: 200, bytes: 20_000 } as const
/** Milliseconds that a fact may wait (CONTRACT 34). */
export const LONGEST = 86_400_000
/**
 * Facts of a site that may wait: what has no state is refused first, since there is no end to it, and states are as many
 * as there are users and threads.
 */
export const MOST = { happenings: 10_000, all: 100_000 } as const
/** Milliseconds for which versions of states are remembered: how long a node may have been unable to tell an older one. */
export const VERSIONS = 600_000
