/** `node dist/bench/capacity.js results.json`: the tables of docs/operate/capacity.md, from a results file of `npm run bench -- --all`. */
import { readFileSync } from 'node:fs'
import { costsOf, type Goals, type Load, plan, type Results } from './capacity/model.ts'
import { busiestShard, COLLECTING, lose, queue, STEADY } from './capacity/simulate.ts'
import { Chance } from './lib/chance.ts'

const GIB = 2 ** 30
const SEED = 7
/** See the page for where these come from. */
export const LOADS: Readonly<Record<string, Load>> = {
  chat: { connections: 1e6, publishes: 1 / 60, sends: 1 / 20, returns: 1 / 900, fanOut: 8, peak: 3 },
  notices: { connections: 1e6, publishes: 1 / 600, sends: 0, returns: 1 / 900, fanOut: 2, peak: 3 },
}
export const GOALS: Goals = {
  use: 0.5,
  useAfterLoss: 0.8,
  jitter: 30,
  memory: 4 * GIB,
  redisUse: 0.4,
  redisUseAfterLoss: 0.7,
}

const file = process.argv[2]
if (file === undefined) throw new Error('a results file was expected: npm run bench -- --all --json results.json')
const costs = costsOf(JSON.parse(readFileSync(file, 'utf8')) as Results)

/** As multiples of what the ceiling needs for a delivery in a big thread: that holds on another core too. */
function relative(seconds: number): string {
  return (seconds * costs.ceiling).toFixed(seconds * costs.ceiling < 10 ? 2 : 0)
}

console.log('What things cost, in deliveries of the ceiling:')
for (const key of [
  'publish',
  'send',
  'receive',
  'deliver',
  'connect',
  'idle',
  'redisEvent',
  'redisListener',
  'redisConnect',
] as const)
  console.log(`  ${key.padEnd(14)} ${relative(costs[key])}`)
console.log(`  memory: ${(costs.bytes / 1024).toFixed(1)} KiB each, ${Math.floor(GIB / costs.bytes)} in a GiB`)
console.log(
  `A core: ${Math.round(1 / costs.publish)} publishes, ${Math.round(1 / costs.deliver)} deliveries, ${Math.round(1 / costs.connect)} connections a second, where the ceiling delivers ${(costs.ceiling / 1e6).toFixed(1)} M`,
)

for (const [name, load] of Object.entries(LOADS))
  for (const connections of [1e4, 1e5, 1e6, 1e7]) {
    const found = plan(costs, { ...load, connections }, GOALS)
    console.log(
      `${name} ${connections}: ${found.nodes} nodes (${found.because}), ${Math.round(found.connectionsPerNode)} each, ` +
        `use ${pc(found.use)}, after a loss ${pc(found.useAfterLoss)}, ${(found.bytesPerNode / GIB).toFixed(2)} GiB; ` +
        `Redis ${found.redisCores.toFixed(2)} cores, after a loss ${found.redisAfterLoss.toFixed(2)}, ${found.shards} shards`,
    )
    const { nodes, connectionsPerNode } = found
    for (const jitter of [0, 5, 30]) {
      const use = (found.use * nodes) / (nodes - 1)
      const { wait, back } = lose({ nodes, connectionsPerNode, use, connect: costs.connect, jitter }, new Chance(SEED))
      console.log(
        `    a node dies, jitter ${jitter} s: all back after ${back.toFixed(1)} s, an event waits ${(wait * 1000).toFixed(0)} ms at most`,
      )
    }
  }

console.log('Use of a core: p50, p99 in mean service times; with collections')
for (const use of [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]) {
  const steady = queue(use, 400_000, new Chance(SEED), STEADY)
  const collecting = queue(use, 400_000, new Chance(SEED), COLLECTING)
  console.log(
    `  ${pc(use)}: ${show(steady.p50)}, ${show(steady.p99)}; ${show(collecting.p50)}, ${show(collecting.p99)}`,
  )
}
console.log('The busiest shard, in means, of 1, 2, 4, 8, 16, 32 shards:')
for (const skew of [0, 0.6, 0.9, 1.1])
  console.log(
    `  Zipf ${skew}: ${[1, 2, 4, 8, 16, 32].map(shards => show(busiestShard(shards, 100_000, skew, new Chance(SEED)))).join(', ')}`,
  )

function pc(share: number): string {
  return `${Math.round(share * 100)} %`
}

function show(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0)
}
