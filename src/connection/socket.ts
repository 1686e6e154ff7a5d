import type { Topic } from '../protocol/topic.ts'

/** The one WebSocket under a connection. uWebSockets' own object is one; only connection.ts calls it, and only while it is open. */
export interface Socket {
  send(text: string | Buffer): unknown
  /** Publishes to all subscribers of a topic but this one. */
  publish(topic: Topic, frame: Buffer): unknown
  /** Calls `step`, and writes what it sends in one go. The end of a socket does not belong in it. */
  cork(step: () => void): unknown
  end(code: number, reason: string): void
  subscribe(topic: Topic): unknown
  unsubscribe(topic: Topic): unknown
  isSubscribed(topic: Topic): boolean
  getTopics(): string[]
  /** Bytes that wait for the client to read on. */
  getBufferedAmount(): number
}
