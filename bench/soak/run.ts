/** One soak: nodes are started, churned in three equal phases, and looked at when everybody has left. */
import { randomBytes } from 'node:crypto'
import { summary } from '../lib/statistics.ts'
import { sleep } from '../lib/turns.ts'
import { writeSites } from '../peers/throughline.ts'
import { Chance } from '../lib/chance.ts'
import { Churn } from './churn.ts'
import { type Finding, leftIn, leftInRedis, look, SETTLED_MS } from './left.ts'
import { SoakNode } from './node.ts'
import { SoakRedis } from './redis.ts'
import { Tally } from './tally.ts'

export interface SoakOptions {
  /** Nodes that share a Redis, which is troubled too; without it one node on the memory bus. */
  readonly nodesOnRedis?: number
  readonly seconds: number
  readonly perSecond: number
  readonly seed: number
  /** What resident memory may grow to from the second phase to the third: 1.1 is a tenth more. */
  readonly growth: number
}

export interface Soak {
  /** What was done, what came of it, and what the nodes counted themselves, all together. */
  readonly done: readonly (readonly [what: string, count: number])[]
  readonly left: readonly Finding[]
}

interface Phase {
  /** Of each node. */
  readonly residentBytes: readonly number[]
  readonly heapBytes: readonly number[]
}

const PHASES = 3
const SAMPLE_MS = 250
/** The same of the heap, which is measured more exactly. What a node remembers for a while, rightly, is in it: see README.md. */
const HEAP_GROWTH = 1.04
const COUNTED =
  /^(connections_opened|events_published|deliveries|slow_consumers|gaps|rate_limited|receipts_refused|auth_failures)_total/

export async function soak({ nodesOnRedis, seconds, perSecond, seed, growth }: SoakOptions): Promise<Soak> {
  const secret = randomBytes(32)
  const sites = writeSites(secret, { connections_per_user: 3, backpressure_bytes: 65_536 })
  const redis = nodesOnRedis === undefined ? undefined : await SoakRedis.start()
  const nodes: SoakNode[] = []
  try {
    for (let i = 0; i < (nodesOnRedis ?? 1); i++) nodes.push(await SoakNode.start(sites, redis?.address ?? 'memory'))
    const before = await Promise.all(nodes.map(look))
    const tally = new Tally()
    const churn = new Churn({ nodes, secret, chance: new Chance(seed), tally })
    const phases: Phase[] = []
    for (let i = 0; i < PHASES; i++) {
      const [residentBytes] = await Promise.all([
        medians(nodes, seconds / PHASES),
        churn.run(seconds / PHASES, perSecond),
        redis === undefined ? undefined : trouble(redis, seconds / PHASES, tally),
      ])
      phases.push({
        residentBytes,
        heapBytes: await Promise.all(nodes.map(async node => (await node.alive()).heapBytes)),
      })
    }
    await churn.leave()
    const end = performance.now() + SETTLED_MS
    const left = await Promise.all(nodes.map((node, i) => leftIn(node, before[i]!, of(i, nodes), end)))
    if (redis !== undefined) left.push(await leftInRedis(redis, nodes.length, end))
    for (const node of nodes) await addCounts(node, tally)
    return { done: tally.rows(), left: [...left.flat(), ...grown(phases, growth)] }
  } finally {
    await Promise.all(nodes.map(node => node.end()))
    await redis?.end()
  }
}

/** Returns the median resident memory of each node over this time. */
async function medians(nodes: readonly SoakNode[], seconds: number): Promise<number[]> {
  const samples = nodes.map((): number[] => [])
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(SAMPLE_MS)) {
    for (const [i, node] of nodes.entries()) samples[i]!.push(node.residentBytes())
  }
  return samples.map(values => summary(values).median)
}

/** The same in each phase, so that they can be compared. */
async function trouble(redis: SoakRedis, seconds: number, tally: Tally): Promise<void> {
  for (const [name, cause] of [
    ["Redis' pub/sub connections killed", () => redis.killConnections('pubsub')],
    ["Redis' other connections killed", () => redis.killConnections('normal')],
    ['Redis restarted empty', () => redis.restart()],
  ] as const) {
    await sleep((seconds / 4) * 1000)
    await cause()
    tally.add(name)
  }
}

async function addCounts(node: SoakNode, tally: Tally): Promise<void> {
  for (const [name, value] of await node.metrics())
    if (COUNTED.test(name) && value > 0) tally.add(`throughline_${name}`, value)
}

function grown(phases: readonly Phase[], growth: number): Finding[] {
  const [second, third] = phases.slice(-2) as [Phase, Phase]
  const compare = (what: string, kind: keyof Phase, most: number): Finding[] =>
    third[kind].map((bytes, i) => {
      const ratio = bytes / second[kind][i]!
      return {
        what: `${what}${of(i, third[kind])}`,
        found: ratio.toFixed(3),
        expected: `at most ${most}`,
        ok: ratio <= most,
      }
    })
  return [
    ...compare('resident memory, median of the last third to that of the second', 'residentBytes', growth),
    ...compare('heap after a collection, end of the last third to that of the second', 'heapBytes', HEAP_GROWTH),
  ]
}

function of(index: number, { length }: ArrayLike<unknown>): string {
  return length === 1 ? '' : ` (node ${index + 1})`
}
