import type { Callbacks } from '../callbacks/callbacks.ts'
import type { Hub } from '../hub/hub.ts'
import type { Limits } from '../limits/limits.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Presence } from '../presence/presence.ts'
import type { Receipts } from '../receipts/receipts.ts'
import type { Trust } from '../trust/trust.ts'
import type { Users } from './users.ts'

/** What the ops of a connection work with: one for all connections of a node. */
export interface Services {
  readonly trust: Trust
  readonly hub: Hub
  readonly users: Users
  readonly presence: Presence
  readonly receipts: Receipts
  readonly callbacks: Callbacks
  readonly limits: Limits
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  /** Seconds between pings, 5 to 60. */
  readonly heartbeat: number
  /** Bytes that may wait for any client before uWebSockets ends its socket. */
  readonly backlogCap: number
}
