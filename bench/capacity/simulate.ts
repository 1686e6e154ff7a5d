/** What the model assumes of queues, losses and shards, played through with chance that follows from a seed. */
import { Chance } from '../lib/chance.ts'
import { quantile } from '../lib/statistics.ts'

export interface Delays {
  /** In mean service times: from an event's arrival until it is done. */
  readonly p50: number
  readonly p99: number
  readonly mean: number
}

/** Service times: an event goes to so many sockets that its size varies, and now and then garbage is collected. */
export interface Service {
  /** The standard deviation in parts of the mean: 1 is an exponential distribution. */
  readonly spread: number
  /** How many events are worked on between two pauses, and how long one is, in mean service times. */
  readonly pauseEach: number
  readonly pause: number
}

export const STEADY: Service = { spread: 1, pauseEach: 20_000, pause: 0 }
/** A young heap of 16 MiB is collected each 1,600 events of 10 KB; with connections in tens of thousands that takes some milliseconds. */
export const COLLECTING: Service = { spread: 1, pauseEach: 1600, pause: 80 }

/** One node: events arrive at random (Poisson), are worked on in their order, and use this share of the core. */
export function queue(use: number, events: number, chance: Chance, { spread, pauseEach, pause }: Service): Delays {
  const delays: number[] = []
  // Pauses are part of the use.
  const work = 1 - pause / pauseEach / use
  let free = 0
  let now = 0
  for (let i = 0; i < events; i++) {
    now += exponential(chance) / use
    const service = work * (1 - spread + spread * exponential(chance)) + (i % pauseEach === 0 ? pause : 0)
    free = Math.max(free, now) + service
    delays.push(free - now)
  }
  const sorted = delays.toSorted((a, b) => a - b)
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / events
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), mean }
}

export interface Loss {
  readonly nodes: number
  readonly connectionsPerNode: number
  /** The share of a core that each survivor uses for all but those who come. */
  readonly use: number
  /** Seconds of a core that one who comes costs. */
  readonly connect: number
  /** Seconds over which they come, each at a moment of its own; 0: all at once. */
  readonly jitter: number
}

export interface Recovery {
  /** Seconds that an event waited at most, on the survivor where it was worst. */
  readonly wait: number
  /** Seconds until all were back. */
  readonly back: number
}

const STEP = 0.01

/** A node dies; each of its clients goes to another node, as the load balancer's chance has it. Steps of 10 ms. */
export function lose({ nodes, connectionsPerNode, use, connect, jitter }: Loss, chance: Chance): Recovery {
  const survivors = nodes - 1
  const steps = Math.max(1, Math.ceil(jitter / STEP))
  const arrivals = Array.from({ length: survivors }, () => new Float64Array(steps))
  for (let i = 0; i < connectionsPerNode; i++) {
    const at = arrivals[chance.below(survivors)]!
    const step = chance.below(steps)
    at[step] = (at[step] ?? 0) + 1
  }
  let wait = 0
  let back = 0
  for (const at of arrivals) {
    let backlog = 0
    for (let step = 0; step < steps || backlog > STEP; step++) {
      backlog = Math.max(0, backlog + use * STEP + (at[step] ?? 0) * connect - STEP)
      wait = Math.max(wait, backlog)
      if (backlog === 0 && step >= steps) break
      back = Math.max(back, step * STEP + backlog)
      if (step > 1e6) return { wait: Infinity, back: Infinity }
    }
  }
  return { wait, back }
}

/** Returns the use of the busiest shard as a multiple of the mean: partitions are spread evenly, threads over partitions by their hash. */
export function busiestShard(shards: number, threads: number, skew: number, chance: Chance): number {
  const PARTITIONS = 128
  const partitions = new Float64Array(PARTITIONS)
  let all = 0
  for (let rank = 1; rank <= threads; rank++) {
    // Zipf: the thread of this rank has this part of the events.
    const part = 1 / rank ** skew
    const partition = chance.below(PARTITIONS)
    partitions[partition] = (partitions[partition] ?? 0) + part
    all += part
  }
  const loads = new Float64Array(shards)
  for (const [i, part] of partitions.entries()) loads[i % shards] = (loads[i % shards] ?? 0) + part
  return (Math.max(...loads) * shards) / all
}

function exponential(chance: Chance): number {
  return -Math.log(1 - chance.part())
}
