import type { FramePieces } from '../protocol/encode.ts'
import type { ConnectionId, EventId, UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Notice, Revocations } from './notice.ts'

/**
 * What carries frames between nodes. One process needs memory.ts, a cluster redis.ts; both keep every promise below,
 * and test/contract/bus.ts holds them to it.
 */
export interface Bus {
  /**
   * Gives an event its place in each of its chains and hands its frame to every node that listens, this one included.
   *
   * Stamping and publishing are one atomic step per chain, so every node sees a chain in stamp order. At most once: a
   * node that is cut off is not told later, it learns from the next `prev`. With an `id` a repeat within 5 minutes is
   * not published again but answered with the first stamps, chain by chain. Rejects with a Refusal `bus_down` when the
   * outcome is unknown for any chain: it may have been delivered, and the same call with the same `id` completes the rest.
   * The answers stand in the order of `topics`: a promise of them only where somebody has to be asked.
   */
  publish(publication: Publication): readonly Placed[] | Promise<readonly Placed[]>

  /**
   * Listens to topics, then reads what is known of them, in this order, so that between head and stream nothing is missed.
   * The answers stand in the order of `topics`. Idempotent. Rejects with `bus_down`; the topics are then listened to as
   * soon as the bus is back.
   */
  subscribe(topics: readonly Topic[]): Promise<Known[]>

  /** Returns what is known of topics, followed or not, as `subscribe` does. */
  read(topics: readonly Topic[]): Promise<Known[]>

  /**
   * Tells every node that follows one of the chains that its clients are to ask their origin, and gives the chain a new
   * head, so that whoever is away learns of it too. Rejects with `bus_down`; then the same call is safe.
   */
  gap(topics: readonly Topic[]): Promise<void>

  /**
   * Tells every node that follows a user's chain what was decided about the user, in order with the chain's events, and
   * remembers what it takes back for as long as a token lives: one atomic step. Who subscribes to the chain later reads it.
   * Rejects with `bus_down`; then the same call is safe.
   */
  notify(topic: Topic, notice: Notice): Promise<void>

  /**
   * Hands a frame that has no place in a chain to every node that follows the topic: not remembered, not repeated. What one
   * node sends keeps its order. Rejects with `bus_down`.
   */
  send(topic: Topic, frame: Buffer, to: Recipients): Promise<void>

  /** Lets go of topics. What was under way may still arrive. Costs one command that nobody waits for. */
  unsubscribe(topics: readonly Topic[]): void

  /** The start of the era that the topic's heads belong to; 0 while it is not known. Stamps before it say nothing (DESIGN §7). */
  eraStart(topic: Topic): number

  /** Whether what is published now would come back. */
  readonly up: boolean

  /** Names who is told. Called once, before anything is published. */
  listen(listener: BusListener): void

  /** Names who else is told of what is no event. Called once, before anything is published. */
  observe(observer: BusObserver): void

  close(): Promise<void>
}

export interface Publication {
  /** Chains of one site, without doubles. */
  readonly topics: readonly Topic[]
  readonly frame: FramePieces
  /** An ephemeral event has no place in a chain: it is delivered as it is, and its stamp is 0. */
  readonly ephemeral: boolean
  /** Given by the origin: makes the publication idempotent. */
  readonly id: EventId | undefined
  /** The connection that is not shown the content (CONTRACT 1). */
  readonly except: ConnectionId | undefined
}

/** Who among the subscribers of a topic is sent a frame. */
export type Recipients =
  | { readonly except?: ConnectionId }
  /** The connections of one user, but for one. */
  | { readonly user: UserId; readonly except?: ConnectionId }
  | { readonly connection: ConnectionId }

export interface Placed {
  /** Microseconds since the epoch, strictly growing in a chain; 0 for an ephemeral event. */
  readonly stamp: number
  /** True when this chain had seen the id before. */
  readonly duplicate: boolean
}

export interface Known {
  /** A chain without one has its era's start (CONTRACT 3). */
  readonly head: number
  /** What was taken back from the user whose chain it is; undefined when nothing was, and for other chains. */
  readonly revocations: Revocations | undefined
}

/** What comes up from the bus. Calls are synchronous and in stamp order per topic. */
export interface BusListener {
  deliver(delivery: Delivery): void
  /** A frame that is for some of the topic's subscribers only. */
  direct(topic: Topic, frame: Buffer, to: Recipients): void
  /** The chain's clients are to ask; no event up to `head`, its new head, comes after this. */
  gap(topic: Topic, head: number): void
  /** `at` is in seconds since the epoch. */
  notice(topic: Topic, notice: Notice, at: number): void
  /** Redis has forgotten, or may have, what these topics had, while the bus was up. */
  erasChanged(concerns: (topic: Topic) => boolean): void
  /** `up` is called after everything was subscribed to again, so heads read from now on can be trusted. */
  busChanged(up: boolean): void
}

/** What presence hears. */
export interface BusObserver extends Pick<BusListener, 'busChanged' | 'erasChanged'> {
  /** Comes for topics that are subscribed to. `text` is JSON, see presence/set.lua. */
  presence(topic: Topic, version: number, text: string): void
}

export interface Delivery {
  readonly topic: Topic
  /** 0 for an ephemeral event. */
  readonly stamp: number
  readonly except: ConnectionId | undefined
  /** The bytes that clients see. Not to be changed: all subscribers share them. */
  readonly frame: Buffer
}
