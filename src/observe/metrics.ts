import type { Code } from '../protocol/codes.ts'

export const LIMIT_KINDS = [
  'frames',
  'sends',
  'connections',
  'user_connections',
  'publishes',
  'deliveries',
  'attempts',
  'unauthenticated',
] as const
export type LimitKind = (typeof LIMIT_KINDS)[number]

/** What may be wrong with a receipt. */
export type ReceiptFault = 'forged' | 'foreign' | 'expired'

/** What is counted. Each part is handed this interface; prometheus.ts is the one that keeps the numbers. */
export interface Metrics {
  connectionOpened(): void
  connectionClosed(code: number): void
  /** A refused token, licence or web origin, or, for other codes, a refused frame or call. */
  refused(code: Code): void
  frameReceived(op: string): void
  published(source: 'api' | 'client', seconds: number): void
  /** One event handed to the sockets of `subscribers`; `seconds` from its stamp until then, where it has one. */
  delivered(subscribers: number, seconds: number | undefined): void
  receiptRefused(code: ReceiptFault): void
  /** A request to a site's callback. */
  callback(outcome: 'ok' | 'retry' | 'gone', seconds: number): void
  /** Facts that were given up. */
  callbacksDropped(facts: number): void
  gap(cause: 'bus' | 'era' | 'origin', chains: number): void
  /** Something that was refused because it was too much. */
  rateLimited(kind: LimitKind): void
  /** A socket that was closed because its client reads too slowly. */
  slowConsumer(): void
  busUp(up: boolean): void
  busRoundtrip(seconds: number): void
}
