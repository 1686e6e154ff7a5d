/** The tables of docs/operate/capacity.md. */
import { Chance } from '../lib/chance.ts'
import { type Costs, type Goals, type Load, plan } from './model.ts'
import { busiestShard, COLLECTING, lose, queue, STEADY } from './simulate.ts'

const KIB = 1024
const GIB = 2 ** 30
const SEED = 7
const EVENTS = 400_000
const THREADS = 100_000

/** The page says what they stand for. */
const LOADS: Readonly<Record<string, Omit<Load, 'connections'>>> = {
  chat: { publishes: 1 / 60, sends: 1 / 20, returns: 1 / 900, fanOut: 8, peak: 3 },
  notices: { publishes: 1 / 600, sends: 0, returns: 1 / 900, fanOut: 2, peak: 3 },
}
const SIZES = [1e4, 1e5, 1e6, 1e7]
const GOALS: Goals = {
  use: 0.5,
  useAfterLoss: 0.8,
  jitter: 30,
  memory: 4 * GIB,
  redisUse: 0.4,
  redisUseAfterLoss: 0.7,
}
const JITTERS = [0, 5, 30]

const WORK = {
  deliver: 'write an event to one socket, by itself',
  publish: 'take in an event from an origin',
  send: 'take in a client’s `send`',
  receive: 'take an event from Redis',
  connect: 'upgrade, verify and subscribe a connection (HS256)',
  idle: 'keep a connection for a second',
  redisEvent: 'Redis: an event',
  redisListener: 'Redis: for each node that hears it',
  redisConnect: 'Redis: a connection in 20 threads that comes',
} as const

/** What things cost, in deliveries of the ceiling in a big thread: these hold on a faster or slower core too. */
export function costTable(costs: Costs): string {
  const rows = (Object.keys(WORK) as (keyof typeof WORK)[]).map(key => [
    WORK[key],
    digits(costs[key] * costs.ceiling),
    costs[key] > 0 ? thousands(1 / costs[key]) : '–',
  ])
  const per = `a second, on a core on which the ceiling delivers ${(costs.ceiling / 1e6).toFixed(1)} million`
  return [
    table(['what', 'in deliveries of the ceiling', per], rows),
    '',
    `Memory: ${(costs.bytes / KIB).toFixed(1)} KiB for an idle connection in 20 threads, ${thousands(GIB / costs.bytes)} connections a GiB.`,
  ].join('\n')
}

export function planTable(costs: Costs): string {
  const rows = Object.entries(LOADS).flatMap(([name, load]) =>
    SIZES.map(connections => {
      const { nodes, because, connectionsPerNode, ...found } = plan(costs, { ...load, connections }, GOALS)
      return [
        name,
        thousands(connections),
        String(nodes),
        because,
        thousands(connectionsPerNode),
        `${percent(found.use)}, ${percent(found.useAfterLoss)}`,
        `${(found.bytesPerNode / GIB).toFixed(1)} GiB`,
        `${digits(found.redisCores)}, ${digits(found.redisAfterLoss)}`,
        String(found.shards),
      ]
    }),
  )
  const head = ['users', 'connections', 'nodes', 'because of', 'on each', 'core at peak, after a loss', 'memory each']
  return table([...head, 'cores of Redis at peak, after a loss', 'shards'], rows)
}

export function lossTable(costs: Costs): string {
  const rows = SIZES.slice(1).map(connections => {
    const { nodes, connectionsPerNode, use } = plan(costs, { ...LOADS['chat']!, connections }, GOALS)
    const without = (use * nodes) / (nodes - 1)
    return [thousands(connections)].concat(
      JITTERS.map(jitter => {
        const loss = { nodes, connectionsPerNode, use: without, connect: costs.connect, jitter }
        const { wait, back } = lose(loss, new Chance(SEED))
        return `${back.toFixed(1)} s, ${(wait * 1000).toFixed(0)} ms`
      }),
    )
  })
  return table(['connections', ...JITTERS.map(jitter => (jitter === 0 ? 'all at once' : `over ${jitter} s`))], rows)
}

export function queueTable(): string {
  const rows = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95].map(use => {
    const steady = queue(use, EVENTS, new Chance(SEED), STEADY)
    const collecting = queue(use, EVENTS, new Chance(SEED), COLLECTING)
    return [percent(use)].concat([steady.p50, steady.p99, collecting.p50, collecting.p99].map(digits))
  })
  return table(['core used', 'p50', 'p99', 'p50 with collections', 'p99 with collections'], rows)
}

export function shardTable(): string {
  const shards = [2, 4, 8, 16, 32]
  const rows = [0, 0.6, 0.9, 1.1].map(skew =>
    [String(skew)].concat(shards.map(count => digits(busiestShard(count, THREADS, skew, new Chance(SEED))))),
  )
  return table(['skew', ...shards.map(count => `${count} shards`)], rows)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function digits(value: number): string {
  return value < 1 ? value.toFixed(2) : value.toFixed(value < 10 ? 1 : 0)
}

/** To two digits: more would claim too much. */
function thousands(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString('en')
}
