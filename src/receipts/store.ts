import type { EventId, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import type { SealKey } from './seal.ts'

/** What nodes share about receipts. One process needs memory.ts, a cluster redis.ts. */
export interface ReceiptStore {
  /** Returns the key that receipts are sealed with, then older ones that still open them. Rejects when none is known. */
  keys(): Promise<readonly [SealKey, ...SealKey[]]>
  /**
   * Tells a user's connections, on all nodes, which events another user has got, and returns those that were not told
   * before: one atomic step. Rejects when it is not known to have been done; then the same call is safe.
   */
  deliver(delivered: Delivered): Promise<EventId[]>
}

/** Events of one sender that one user has got. */
export interface Delivered {
  readonly site: SiteId
  /** Who is told. */
  readonly to: UserId
  readonly thread: ThreadId | undefined
  /** Who has got them. */
  readonly user: UserId
  /** By the end of their receipts, in seconds since the epoch. */
  readonly events: ReadonlyMap<EventId, number>
  readonly frame: DeliveredFrame
}

/** The frame but for the list of ids, which the store knows: `before` + `"1","2"` + `after`. */
export interface DeliveredFrame {
  readonly before: string
  readonly after: string
}

/** Seconds that a receipt counts. */
export const RECEIPT_TTL = 86_400
