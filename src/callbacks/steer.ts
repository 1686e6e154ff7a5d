import type { Clock } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Trust } from '../trust/trust.ts'
import type { CallbackQueue, QueueStatus } from './queue.ts'

/** What a site, and the operator, may do about the site's queue. */
export const DEEDS = ['retry', 'pause', 'resume', 'drop'] as const
export type Deed = (typeof DEEDS)[number]

interface SteerParts {
  readonly queue: CallbackQueue
  readonly trust: Pick<Trust, 'findSite'>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
}

/**
 * Does it, or nothing, and returns what the API answers. Rejects with `not_found` for a site without a callback, and with
 * `bus_down`.
 */
export async function steer(parts: SteerParts, site: SiteId, deed: Deed | 'show'): Promise<object> {
  if ((await parts.trust.findSite(site))?.callback === undefined) {
    throw new Refusal('not_found', 'the site has no callback')
  }
  try {
    return await run(parts, site, deed)
  } catch (error) {
    parts.log.debug(errorFacts(error), 'the queue of callbacks could not be reached')
    throw new Refusal('bus_down', undefined, { retryAfter: 2 })
  }
}

async function run({ queue, clock, metrics, log }: SteerParts, site: SiteId, deed: Deed | 'show'): Promise<object> {
  if (deed === 'show') return describe(await queue.status(site), clock.now())
  if (deed !== 'drop') {
    await queue[deed](site)
    log.info({ site, deed }, 'callbacks of a site are steered')
    return {}
  }
  const dropped = await queue.drop(site)
  metrics.callbacksDropped(site, dropped)
  log.warn({ site, deed, dropped }, 'callbacks of a site are dropped, as was asked')
  return { dropped }
}

function describe({ state, depth, oldest, next, error }: QueueStatus, now: number): object {
  const age = oldest === undefined ? undefined : Math.max(0, now - oldest) / 1000
  return { state, depth, age, next_attempt: next, last_error: error }
}
