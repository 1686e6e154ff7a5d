import type { Code } from '../protocol/codes.ts'
import type { SiteId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

/** Of what sites and their clients do, */
export const SITE_LIMIT_KINDS = [
  'frames',
  'sends',
  'connections',
  'user_connections',
  'publishes',
  'deliveries',
] as const
/** and of addresses. */
export const LIMIT_KINDS = [...SITE_LIMIT_KINDS, 'attempts', 'unauthenticated'] as const
export type LimitKind = (typeof LIMIT_KINDS)[number]

/** What may be wrong with a receipt. */
export type ReceiptFault = 'forged' | 'foreign' | 'expired'

/**
 * What is counted. Each part is handed this interface; prometheus.ts is the one that keeps the numbers. A `site` that is
 * handed over is one that exists, never one that a stranger only named.
 */
export interface Metrics {
  connectionOpened(): void
  /** `site` is that of `siteConnected`, if there was one. */
  connectionClosed(code: number, site?: SiteId): void
  /** To be called once for a connection, when it is known whose it is. */
  siteConnected(site: SiteId): void
  /** A refused token, licence or web origin, or, for other codes, a refused frame or call. */
  refused(code: Code, site?: SiteId): void
  frameReceived(op: string): void
  published(source: 'api' | 'client', seconds: number, site: SiteId): void
  /** One event handed to the sockets of `subscribers`. */
  delivered(topic: Topic, subscribers: number): void
  /** How long after its stamp an event was written to sockets. */
  deliveredAfter(seconds: number): void
  receiptRefused(code: ReceiptFault): void
  /** A request to a site's callback. */
  callback(site: SiteId, outcome: 'ok' | 'retry' | 'gone', seconds: number): void
  /** Facts that were given up. */
  callbacksDropped(site: SiteId, facts: number): void
  gap(cause: 'bus' | 'era' | 'origin', chains: number): void
  /** Something that was refused because it was too much. */
  rateLimited(kind: LimitKind, site?: SiteId): void
  /** A socket that was closed because its client reads too slowly. */
  slowConsumer(site?: SiteId): void
  busUp(up: boolean): void
  busRoundtrip(seconds: number): void
}
