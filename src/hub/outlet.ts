import type { ConnectionId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

/** This node's sockets, as the hub sees them. The gateway is one. */
export interface Outlet {
  /**
   * Hands a frame to all local subscribers of a topic, in the order of calls. Cheap: when they come in
   * numbers, those of one turn of the loop leave together.
   */
  publish(item: OutgoingEvent): void
  /** Sends what was gathered, now. */
  flush(): void
  /** How many local sockets are subscribed to a topic. */
  subscribers(topic: Topic): number
  /** Whether this node owns the connection. */
  owns(connection: ConnectionId): boolean
  /** Sends a frame to every authenticated connection, after what was published before. */
  broadcast(frame: string): void
}

export interface OutgoingEvent {
  readonly topic: Topic
  readonly frame: Buffer
  /** 0 for an event without one; else deliveries are timed from it. */
  readonly stamp: number
  /** The connection that is not to get the frame, */
  readonly except?: ConnectionId | undefined
  /** and what it gets instead, if anything. */
  readonly instead?: Buffer | undefined
}
