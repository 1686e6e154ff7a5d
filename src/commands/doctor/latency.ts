import { steadyClock } from '../../lib/clock.ts'
import type { Server } from '../../redis/facts.ts'
import { found, ok, type Patient, type Result } from './check.ts'
import { ofPrimaries } from './redis.ts'

const ROUND_TRIPS = 50
/** Milliseconds above which publishing feels slow, and above which a burst of events queues up. */
const SLOW = { p50: 5, p99: 50 }

/** Times round trips to each server that holds data, one after the other. */
export function latency(patient: Patient): Promise<readonly Result[]> {
  return ofPrimaries(patient, async server => judgeLatency(server.name, await time(server)))
}

async function time(server: Server): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const begun = steadyClock.now()
    await server.ask('PING')
    times.push(steadyClock.now() - begun)
  }
  return times
}

export function judgeLatency(name: string, times: readonly number[]): Result {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const says = `${name}: a round trip takes ${at(0.5).toFixed(2)} ms (p50), ${at(0.99).toFixed(2)} ms (p99)`
  return at(0.5) > SLOW.p50 || at(0.99) > SLOW.p99 ? found('redis_slow', says) : ok(says)
}
