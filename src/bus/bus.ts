import type { FramePieces } from '../protocol/encode.ts'
import type { ConnectionId, EventId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

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
   * The answers stand in the order of `topics`.
   */
  publish(publication: Publication): Promise<Placed[]>

  /**
   * Listens to topics, then reads their heads, in this order, so that between head and stream nothing is missed.
   * Returns the heads in the order of `topics`; a chain without one has its era's start (CONTRACT 3). Idempotent.
   * Rejects with `bus_down`; the topics are then listened to as soon as the bus is back.
   */
  subscribe(topics: readonly Topic[]): Promise<number[]>

  /** Returns the heads of topics, followed or not, as `subscribe` does. */
  heads(topics: readonly Topic[]): Promise<number[]>

  /** Lets go of topics. What was under way may still arrive. Costs one command that nobody waits for. */
  unsubscribe(topics: readonly Topic[]): void

  /** The start of the era that the topic's heads belong to; 0 while it is not known. Stamps before it say nothing (DESIGN §7). */
  eraStart(topic: Topic): number

  /** Whether what is published now would come back. */
  readonly up: boolean

  /** Names who is told. Called once, before anything is published. */
  listen(listener: BusListener): void

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

export interface Placed {
  /** Microseconds since the epoch, strictly growing in a chain; 0 for an ephemeral event. */
  readonly stamp: number
  /** True when this chain had seen the id before. */
  readonly duplicate: boolean
}

/** What comes up from the bus. Calls are synchronous and in stamp order per topic. */
export interface BusListener {
  deliver(delivery: Delivery): void
  /** `up` is called after everything was subscribed to again, so heads read from now on can be trusted. */
  busChanged(up: boolean): void
}

export interface Delivery {
  readonly topic: Topic
  /** 0 for an ephemeral event. */
  readonly stamp: number
  readonly except: ConnectionId | undefined
  /** The bytes that clients see. Not to be changed: all subscribers share them. */
  readonly frame: Buffer
}
