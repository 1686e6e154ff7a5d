import type { Test } from 'tap'
import { Limits } from '../../src/limits/limits.ts'
import type { UsageShare } from '../../src/limits/share.ts'
import type { LimitedSite } from '../../src/limits/usage.ts'
import type { LimitKind, Metrics } from '../../src/observe/metrics.ts'
import type { SiteId, UserId } from '../../src/protocol/ids.ts'
import { Refusal } from '../../src/protocol/refusal.ts'

export const user = (id: string): UserId => id as UserId

export function site(limits: Partial<LimitedSite['limits']>, id = 'acme'): LimitedSite {
  const none = {
    connections: Infinity,
    connectionsPerUser: 1000,
    publishesPerSecond: Infinity,
    deliveriesPerSecond: Infinity,
  }
  return { id: id as SiteId, limits: { ...none, ...limits } }
}

export interface LimitedNode {
  readonly limits: Limits
  /** Milliseconds, to be set. */
  readonly clock: { ms: number; now(): number }
  readonly refused: LimitKind[]
}

const quiet = (): void => {}

/** Returns one node's limits, closed when the test ends. */
export function openLimits(
  t: Test,
  share?: UsageShare,
  addresses = { attemptsPerSecond: 5, unauthenticated: 3 },
): LimitedNode {
  const clock = { ms: 1000, now: () => clock.ms }
  const refused: LimitKind[] = []
  const metrics = { rateLimited: (kind: LimitKind) => refused.push(kind) } as unknown as Metrics
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const limits = new Limits({ clock, metrics, log, addresses, share })
  t.teardown(() => limits.close())
  return { limits, clock, refused }
}

/** Returns what something is refused with; undefined if it is not. */
export function refusal(attempt: () => void): Refusal | undefined {
  try {
    attempt()
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
