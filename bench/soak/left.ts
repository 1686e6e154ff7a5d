/** What is left in nodes and in Redis after everybody has left. */
import { isDeepStrictEqual } from 'node:util'
import { sleep } from '../lib/turns.ts'
import type { SoakNode } from './node.ts'
import type { Alive } from './probe.ts'
import type { SoakRedis } from './redis.ts'

export interface Finding {
  readonly what: string
  readonly found: string
  readonly expected: string
  readonly ok: boolean
}

/**
 * Graces follow each other: users stay online for 10 s, then the chains that told of it are kept for 10 s; who was cut off
 * without a word is noticed by then too. More is patience with a busy machine.
 */
export const SETTLED_MS = 60_000
const LOOK_MS = 250

export interface Look extends Alive {
  readonly descriptors: Record<string, number>
}

export async function look(node: SoakNode): Promise<Look> {
  return { ...(await node.alive()), descriptors: node.descriptors() }
}

/** Waits until it is as before, until the time given at most. `of` says which node it is. */
export async function leftIn(node: SoakNode, before: Look, of: string, end: number): Promise<Finding[]> {
  const gauges = ['connections', 'presence_members', 'chains']
  const read = async (): Promise<number[]> => {
    const metrics = await node.metrics()
    return gauges.map(name => metrics.get(name) ?? Number.NaN)
  }
  const values = await settled(end, read, found => found.every(value => value === 0))
  const { descriptors } = await settled(
    end,
    async () => ({ descriptors: node.descriptors() }),
    found => isWithin(found.descriptors, before.descriptors),
  )
  const alive = await settled(
    end,
    () => node.alive(),
    ({ timers, connections }) => timers <= before.timers && connections === 0,
  )
  return [
    ...gauges.map((name, i) => finding(`throughline_${name}${of}`, values[i], 0)),
    finding(
      `file descriptors, by kind${of}`,
      descriptors,
      before.descriptors,
      isWithin(descriptors, before.descriptors),
    ),
    finding(`timers alive${of}`, alive.timers, before.timers, alive.timers <= before.timers),
    finding(`Connection objects alive${of}`, alive.connections, 0),
  ]
}

export async function leftInRedis(redis: SoakRedis, nodes: number, end: number): Promise<Finding[]> {
  const left = await settled(
    end,
    () => redis.leftovers(),
    ({ ticks, ...others }) => ticks === nodes && Object.values(others).every(list => list.length === 0),
  )
  return [
    finding("nodes' tick channels in Redis", left.ticks, nodes),
    finding('other channels in Redis', left.channels, []),
    finding('keys in Redis without an end', left.endless, []),
    finding('entries of presence in Redis', left.presence, []),
  ]
}

/** Less may be there: files that a node looks at from time to time were perhaps open before. */
function isWithin(found: Record<string, number>, before: Record<string, number>): boolean {
  return Object.entries(found).every(([kind, count]) => count <= (before[kind] ?? 0))
}

function finding(what: string, found: unknown, expected: unknown, ok = isDeepStrictEqual(found, expected)): Finding {
  return { what, found: JSON.stringify(found), expected: JSON.stringify(expected), ok }
}

/** Reads until it is right, or until the end, and returns what was read last. */
async function settled<T>(end: number, read: () => Promise<T>, isRight: (found: T) => boolean): Promise<T> {
  for (; ; await sleep(LOOK_MS)) {
    const found = await read()
    if (isRight(found) || performance.now() > end) return found
  }
}
