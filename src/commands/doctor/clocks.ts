import type { Clock } from '../../lib/clock.ts'
import type { Server } from '../../redis/facts.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'
import { ofPrimaries } from './redis.ts'
import { get } from './running-node.ts'

/** CONTRACT 4: the start of an era is this far ahead of Redis' clock. */
const MOST_MS = 1000
/** What would be seen in the latency of deliveries. */
const SEEN_MS = 250

/** Compares this machine's clock with that of each Redis, and with the `Date` of another node. */
export async function clocks(patient: Patient): Promise<readonly Result[]> {
  const { clock, options } = patient
  const results = await ofPrimaries(patient, server => againstRedis(server, clock))
  const peers = [options.api, options.url?.replace(/^ws/, 'http')].filter(url => url !== undefined)
  return [...results, ...(await againstPeers(peers, clock))]
}

async function againstRedis(server: Server, clock: Clock): Promise<Result> {
  const before = clock.now()
  const [seconds, micros] = (await server.ask('TIME')) as [string, string]
  const after = clock.now()
  const there = Number(seconds) * 1000 + Number(micros) / 1000
  const off = distance(there, there, before, after)
  const says = `the clock of ${server.name} is ${described(off)}`
  if (Math.abs(off) > MOST_MS) return found('clock_redis', says)
  return Math.abs(off) > SEEN_MS ? found('clock_redis_drifts', says) : ok(says)
}

async function againstPeers(urls: readonly string[], clock: Clock): Promise<Result[]> {
  for (const url of urls) {
    const before = clock.now()
    const date = Date.parse(String((await get(url))?.headers['date']))
    if (Number.isNaN(date)) continue
    // A Date header leaves the fraction of its second out (RFC 9110 §5.6.7), and servers write it once a second.
    const off = distance(date, date + 2000, before, clock.now())
    const says = `the clock of ${new URL(url).host} is ${described(off)}`
    return [Math.abs(off) > MOST_MS ? found('clock_peer', says) : ok(says)]
  }
  return urls.length === 0 ? [] : [skipped('the node of --url and --api tells no Date')]
}

/** Returns by how much one span of time is after another, 0 when they overlap. */
function distance(from: number, to: number, before: number, after: number): number {
  if (from > after) return from - after
  return to < before ? to - before : 0
}

function described(off: number): string {
  if (Math.abs(off) < 1) return "as this machine's"
  return `${Math.abs(off / 1000).toFixed(3)} s ${off > 0 ? 'ahead of' : 'behind'} this machine's`
}
