import type { Bus } from '../bus/bus.ts'
import { chunks, groupBy } from '../lib/arrays.ts'
import type { Clock } from '../lib/clock.ts'
import type { Metrics } from '../observe/metrics.ts'
import { gapFrame } from '../protocol/encode.ts'
import { clientChainName, isChain, siteOf, siteTopic, type Topic } from '../protocol/topic.ts'
import type { Chains } from './chains.ts'
import type { Outlet } from './outlet.ts'
import type { Pace } from './pace.ts'

export interface GapParts {
  readonly bus: Bus
  readonly chains: Chains
  readonly pace: Pace
  readonly clock: Clock
  readonly metrics: Metrics
  readonly outlet: Outlet
}

type Cause = 'bus' | 'era' | 'origin'

const BATCH = 1000

/**
 * Sends `gap` for those chains whose heads are not what this node forwarded last, and for those in `doubted`. To be called
 * after an interruption. Rejects with `bus_down`.
 */
export async function resync(parts: GapParts, doubted: ReadonlySet<Topic>): Promise<void> {
  const { bus, chains } = parts
  for (const topics of chunks([...chains.topics()].filter(isChain), BATCH)) {
    const known = await bus.read(topics)
    const missed = new Map<Topic, Cause>()
    for (const [i, topic] of topics.entries()) {
      const last = chains.last(topic)
      if (last === undefined) continue
      chains.take(topic, known[i]!)
      // In a new era Redis may have forgotten what was published while we could not hear (DESIGN §7).
      if (last < bus.eraStart(topic)) missed.set(topic, 'era')
      // A head below `last` is only older news: an event came while the heads were being read.
      else if (known[i]!.head > last || doubted.has(topic)) missed.set(topic, 'bus')
    }
    sendGaps(parts, missed)
  }
}

/** Sends `gap` for all of these chains, since a new era has begun for them. Rejects with `bus_down`. */
export async function gapForEra(parts: GapParts, topics: readonly Topic[]): Promise<void> {
  for (const batch of chunks(topics, BATCH)) {
    const known = await parts.bus.read(batch)
    for (const [i, topic] of batch.entries()) parts.chains.take(topic, known[i]!)
    sendGaps(parts, new Map(batch.map(topic => [topic, 'era'])))
  }
}

/** Sends `gap` to the local clients of chains, with the last stamp of each as its head. */
export function sendGaps(parts: GapParts, missed: ReadonlyMap<Topic, Cause>): void {
  const { chains, pace, clock, metrics, outlet } = parts
  for (const [site, topics] of groupBy(missed.keys(), siteOf)) {
    const listeners = new Map(topics.map(topic => [topic, outlet.subscribers(topic)]))
    const questions = [...listeners.values()].reduce((sum, count) => sum + count, 0)
    if (questions === 0) continue
    // A client that missed something in several chains asks once for all of them.
    const within = pace.within(site, Math.min(questions, outlet.subscribers(siteTopic(site))), clock.now())
    for (const [topic, count] of listeners) {
      const head = chains.last(topic)
      if (count === 0 || head === undefined) continue
      metrics.gap(missed.get(topic)!, 1)
      outlet.publish({ topic, frame: gapFrame(clientChainName(topic), head, within), stamp: 0 })
    }
  }
}
