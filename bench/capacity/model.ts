/** How many nodes and Redis shards a number of connections needs: pure, from costs that `costsOf` reads from a results file. */
import type { Report } from '../report.ts'

/** Seconds of a core, unless said otherwise. One core is one node: a node's JavaScript uses no more. */
export interface Costs {
  /** What the ceiling delivers in a second of its time: how fast the core is that these were measured on. */
  readonly ceiling: number
  /** To take in an event, of an origin or of a client. */
  readonly publish: number
  readonly send: number
  /** To take one from Redis, for a topic that somebody here listens to. */
  readonly receive: number
  /** To write it to one socket. */
  readonly deliver: number
  /** To upgrade, verify and subscribe a connection. */
  readonly connect: number
  /** A second of an idle connection. */
  readonly idle: number
  /** Bytes of memory: of a connection, and of a node without any. */
  readonly bytes: number
  readonly nodeBytes: number
  /** Of a core of Redis: an event, for each node that listens to it, and a connection that comes or goes. */
  readonly redisEvent: number
  readonly redisListener: number
  readonly redisConnect: number
}

/** What users do. */
export interface Load {
  readonly connections: number
  /** Of one connection, in a second: events that its user's origin publishes, frames that it sends (typing), and how often it comes back. */
  readonly publishes: number
  readonly sends: number
  readonly returns: number
  /** Sockets that an event goes to. */
  readonly fanOut: number
  /** The busiest minute's multiple of these means. */
  readonly peak: number
}

export interface Goals {
  /** The share of a core that a node uses at the peak, and the share that it may use when those of a dead node have come. */
  readonly use: number
  readonly useAfterLoss: number
  /** Seconds over which the clients of a dead node come back. */
  readonly jitter: number
  /** Bytes of memory for each node. */
  readonly memory: number
  /** The share of a core that a shard uses at the peak, and while the clients of a dead node come back. */
  readonly redisUse: number
  readonly redisUseAfterLoss: number
}

export interface Plan {
  readonly nodes: number
  /** What asks for so many. */
  readonly because: 'load' | 'loss' | 'memory'
  readonly connectionsPerNode: number
  readonly use: number
  readonly useAfterLoss: number
  readonly bytesPerNode: number
  readonly redisCores: number
  readonly redisAfterLoss: number
  readonly shards: number
}

/** Chains are kept in so many partitions (src/redis/keys.ts), each of which lives on one shard. */
export const MOST_SHARDS = 128

export function plan(costs: Costs, load: Load, goals: Goals): Plan {
  const fits = (nodes: number): Plan['because'] | undefined => {
    if (useOf(costs, load, nodes) > goals.use) return 'load'
    if (nodes > 1 && useAfterLoss(costs, load, nodes, goals.jitter) > goals.useAfterLoss) return 'loss'
    return bytesOf(costs, load, nodes) > goals.memory ? 'memory' : undefined
  }
  // Two at least, or a loss is an outage.
  let nodes = 2
  let because: Plan['because'] = 'loss'
  for (let reason = fits(nodes); reason !== undefined; reason = fits(nodes)) {
    because = reason
    nodes = Math.ceil(nodes * 1.02)
  }
  while (nodes > 2 && fits(nodes - 1) === undefined) nodes--
  const redisCores = redisUse(costs, load, nodes)
  const redisAfterLoss = redisCores + (load.connections / nodes / goals.jitter) * 2 * costs.redisConnect
  return {
    nodes,
    because,
    connectionsPerNode: load.connections / nodes,
    use: useOf(costs, load, nodes),
    useAfterLoss: useAfterLoss(costs, load, nodes, goals.jitter),
    bytesPerNode: bytesOf(costs, load, nodes),
    redisCores,
    redisAfterLoss,
    shards: Math.ceil(Math.max(redisCores / goals.redisUse, redisAfterLoss / goals.redisUseAfterLoss)),
  }
}

/** Returns the nodes, of so many, that have at least one of the sockets an event goes to. */
export function listeners(nodes: number, fanOut: number): number {
  return nodes * (1 - (1 - 1 / nodes) ** fanOut)
}

/** Returns the share of its core that each of so many nodes uses at the peak. */
export function useOf(costs: Costs, load: Load, nodes: number): number {
  const { connections, publishes, sends, returns, fanOut, peak } = load
  const heard = (costs.receive * listeners(nodes, fanOut)) / fanOut + costs.deliver
  const each =
    publishes * (costs.publish + fanOut * heard) +
    sends * (costs.send + fanOut * heard) +
    returns * costs.connect +
    costs.idle / peak
  return (connections * each * peak) / nodes
}

/** The same while the clients of one that died come to the others. */
export function useAfterLoss(costs: Costs, load: Load, nodes: number, jitter: number): number {
  const arriving = load.connections / nodes / (nodes - 1) / jitter
  return useOf(costs, load, nodes - 1) + arriving * costs.connect
}

export function bytesOf(costs: Costs, { connections }: Load, nodes: number): number {
  // One of them may be lost.
  return costs.nodeBytes + (connections / Math.max(1, nodes - 1)) * costs.bytes
}

/** Returns how many cores of Redis are used at the peak. */
export function redisUse(costs: Costs, load: Load, nodes: number): number {
  const { connections, publishes, sends, returns, fanOut, peak } = load
  const event = costs.redisEvent + listeners(nodes, fanOut) * costs.redisListener
  return connections * peak * ((publishes + sends) * event + 2 * returns * costs.redisConnect)
}

/** What `npm run bench -- --all --json file` wrote. */
export interface Results {
  readonly reports: readonly Report[]
  /** See redis-cost.ts; microseconds. */
  readonly redis?: { readonly event: number; readonly listener: number; readonly connect: number }
}

const MEASURED = 1
const NODE_BYTES = 100 * 1024 * 1024
const MEMBERS = 2

/** Reads the costs from results. Throws when a scenario is missing. */
export function costsOf({ reports, redis }: Results): Costs {
  const value = (name: string, key: string, who = MEASURED): number => {
    const line = reports.find(report => report.name === name)?.lines.find(line => line.key === key)
    const median = line?.values[who]?.median
    if (median === undefined) throw new Error(`the results have no ${key} of ${name}: they must be of --all`)
    return median
  }
  if (redis === undefined) throw new Error('the results have no cost of Redis: they must be of --all')
  // One at a time, a delivery is a system call: so it is when threads are small. In a big thread under load it is far less.
  const deliver = 1 / value('single', 'deliveriesPerCore')
  const events = value('small2', 'events')
  return {
    ceiling: value('fanout', 'deliveriesPerCore', 0),
    publish: value('small2', 'first') / events,
    // The ceiling writes the same frames to the same sockets, and does nothing else.
    send: Math.max(0, 1 / value('typing', 'sendsPerCore') - 1 / value('typing', 'sendsPerCore', 0)),
    receive: Math.max(0, value('small2', 'last') / events - MEMBERS * deliver),
    deliver,
    connect: 1 / value('storm', 'connectionsPerCore'),
    idle: Math.max(0, value('growth', 'idle') / 1e6),
    bytes: value('memory20', 'perConnection'),
    nodeBytes: NODE_BYTES,
    redisEvent: redis.event / 1e6,
    redisListener: redis.listener / 1e6,
    redisConnect: redis.connect / 1e6,
  }
}
