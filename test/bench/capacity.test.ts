/** The capacity model against the simulation, and against what it must never say. All chance follows from a seed. */
import t from 'tap'
import {
  type Costs,
  type Goals,
  listeners,
  type Load,
  MOST_SHARDS,
  plan,
  useAfterLoss,
  useOf,
} from '../../bench/capacity/model.ts'
import { busiestShard, COLLECTING, lose, queue, STEADY } from '../../bench/capacity/simulate.ts'
import { Chance } from '../../bench/lib/chance.ts'

const MICRO = 1e-6
const COSTS: Costs = {
  ceiling: 4e6,
  publish: 40 * MICRO,
  send: 10 * MICRO,
  receive: 4 * MICRO,
  deliver: 5 * MICRO,
  connect: 200 * MICRO,
  idle: 0.8 * MICRO,
  bytes: 10_000,
  nodeBytes: 1e8,
  redisEvent: 10 * MICRO,
  redisListener: 0.5 * MICRO,
  redisConnect: 100 * MICRO,
}
const LOAD: Load = { connections: 1e6, publishes: 1 / 60, sends: 1 / 20, returns: 1 / 900, fanOut: 8, peak: 3 }
const GOALS: Goals = { use: 0.5, useAfterLoss: 0.8, jitter: 30, memory: 4e9, redisUse: 0.4, redisUseAfterLoss: 0.7 }

await t.test('a plan keeps every goal, and one node less would not', async t => {
  for (const connections of [1e3, 1e5, 1e6, 1e7]) {
    const load = { ...LOAD, connections }
    const { nodes, use, useAfterLoss: after, bytesPerNode } = plan(COSTS, load, GOALS)
    t.ok(use <= GOALS.use && after <= GOALS.useAfterLoss && bytesPerNode <= GOALS.memory, `${connections}: ${nodes}`)
    if (nodes === 2) continue
    const less = nodes - 1
    t.ok(useOf(COSTS, load, less) > GOALS.use || useAfterLoss(COSTS, load, less, GOALS.jitter) > GOALS.useAfterLoss)
  }
})

await t.test('ten times the connections need about ten times the nodes, and dearer calls more of them', async t => {
  const { nodes } = plan(COSTS, LOAD, GOALS)
  const tenfold = plan(COSTS, { ...LOAD, connections: 1e7 }, GOALS).nodes
  t.ok(tenfold > 9 * nodes && tenfold < 11 * nodes, `${nodes}, ${tenfold}`)
  t.ok(plan({ ...COSTS, deliver: 2 * COSTS.deliver }, LOAD, GOALS).nodes > nodes)
  t.equal(plan({ ...COSTS, bytes: 1e6 }, LOAD, GOALS).because, 'memory')
  t.ok(plan(COSTS, LOAD, GOALS).shards < MOST_SHARDS)
})

await t.test('an event reaches no more nodes than it has sockets, or than there are', async t => {
  t.equal(listeners(1, 8), 1)
  t.ok(listeners(1000, 8) < 8 && listeners(1000, 8) > 7.9)
  t.ok(listeners(3, 1000) <= 3)
})

await t.test('a queue waits as long as Pollaczek and Khinchine say', async t => {
  for (const use of [0.3, 0.5, 0.8]) {
    const { mean } = queue(use, 300_000, new Chance(7), STEADY)
    // Exponential service: the mean time in the system is 1 / (1 - use) service times.
    t.ok(Math.abs(mean * (1 - use) - 1) < 0.05, `${use}: ${mean}`)
  }
})

await t.test('beyond the use that is planned for, the slowest hundredth waits far longer', async t => {
  const p99 = (use: number): number => queue(use, 300_000, new Chance(7), COLLECTING).p99
  t.ok(p99(0.95) > 1.5 * p99(GOALS.use), `${p99(GOALS.use)}, ${p99(0.95)}`)
})

await t.test(
  'survivors take in a dead node’s clients when these spread out, and not when all come at once',
  async t => {
    const { nodes, connectionsPerNode } = plan(COSTS, LOAD, GOALS)
    const use = useOf(COSTS, LOAD, nodes - 1)
    const at = (jitter: number): number =>
      lose({ nodes, connectionsPerNode, use, connect: COSTS.connect, jitter }, new Chance(7)).wait
    t.ok(at(GOALS.jitter) < 0.05, `spread: ${at(GOALS.jitter)} s`)
    t.ok(at(0) > 2 * at(GOALS.jitter), `at once: ${at(0)} s`)
    // What comes is work for so many seconds of the other nodes, which all of them together have to spare.
    const two = { nodes: 2, connectionsPerNode: 100_000, use: 0.5, connect: COSTS.connect, jitter: 0 }
    const { back } = lose(two, new Chance(7))
    t.ok(Math.abs(back - (100_000 * COSTS.connect) / (1 - 0.5)) < 2, `${back} s`)
  },
)

await t.test('one thread that all are in cannot be spread over shards', async t => {
  t.ok(busiestShard(16, 100_000, 0, new Chance(7)) < 1.3)
  t.ok(busiestShard(16, 100_000, 1.1, new Chance(7)) > 1.5)
})
