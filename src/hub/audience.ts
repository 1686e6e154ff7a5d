import type { Recipients } from '../bus/bus.ts'
import type { Notice, Revocations } from '../bus/notice.ts'
import type { Topic } from '../protocol/topic.ts'

/** This node's connections by user, as the hub tells them what their origin has decided. */
export interface Audience {
  /** Applies a notice to the connections of the user whose topic it is. */
  told(user: Topic, notice: Notice): void
  /** Sends a frame to some of those who are subscribed to a topic. */
  direct(topic: Topic, frame: Buffer, to: Recipients): void
  /** Ends, or takes out of threads, the connections of the user whose tokens count no longer. */
  revoked(user: Topic, revocations: Revocations): void
}
