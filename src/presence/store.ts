import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

/**
 * Who is where, in the whole cluster. One process needs memory.ts, a cluster redis.ts; test/contract/presence-store.ts
 * holds both to it. A topic is a thread's presence, or one user's online state.
 *
 * What a node sets lasts as long as the node: when it dies without a word, the others take its entries out (DESIGN §9).
 */
export interface PresenceStore {
  /**
   * Sets how many connections this node has for users at topics: atomic per topic, idempotent, and one change is told for
   * each topic at which a number changed. Rejects when it is not known to have been done; then the same call is safe.
   */
  set(entries: readonly Entry[]): Promise<void>
  /** Returns who is at each topic, in their order. Rejects when that is not known. */
  read(topics: readonly Topic[]): Promise<Snapshot[]>
  /** Names who is told. Called once. */
  listen(listener: StoreListener): void
  /** Takes out what this node has set, and ends. */
  close(): Promise<void>
}

export interface Entry {
  readonly topic: Topic
  readonly user: UserId
  /** On this node; 0 takes the user out. */
  readonly connections: number
  /** JSON, of the user's token. */
  readonly info: string | undefined
}

export interface Present {
  readonly user: UserId
  /** JSON. Undefined in a change: as it was. */
  readonly info: string | undefined
  /** In the whole cluster. */
  readonly connections: number
}

export interface Snapshot {
  /** Grows with each change of the topic; in microseconds since the epoch, or a little ahead. */
  readonly version: number
  /** Users. */
  readonly count: number
  /** Undefined when they are more than MOST. */
  readonly members: readonly Present[] | undefined
}

/** One change of a topic. */
export interface Change {
  readonly version: number
  /** The version that it changes: who has another must read anew. Undefined where no change can be missed. */
  readonly prev: number | undefined
  readonly count: number
  /**
   * Who came, or has another number of connections now, and who went. Both undefined when the members are more than MOST.
   */
  readonly present: readonly Present[] | undefined
  readonly left: readonly UserId[] | undefined
}

export interface StoreListener {
  /** Comes for topics that this node follows on its bus. */
  changed(topic: Topic, change: Change): void
  /**
   * Comes when the first user came to a topic or the last one went, in the whole cluster: to the one node whose `set` did
   * it, or that took out what a dead node had set. Comes again when it is not known whether it came.
   */
  crossed(topic: Topic, occupied: boolean, version: number): void
  /** The store has forgotten what this node had set at these topics, or changes were missed: set and read it again. */
  lost(concerns: (topic: Topic) => boolean): void
}

/** Members of a topic up to which they are listed; above they are only counted (DESIGN §9). */
export const MOST = 500
