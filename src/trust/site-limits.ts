import { readInline } from './inline.ts'
import { found, type Fields, readFields, readJson } from './shape.ts'
import { Wrong } from './wrong.ts'

/** What a site may use. Infinity means that there is no limit. */
export interface SiteLimits {
  /** Open connections, over all nodes. */
  readonly connections: number
  /** Open connections of one user, over all nodes. */
  readonly connectionsPerUser: number
  /** Threads on one connection. */
  readonly threads: number
  /** Frames that a client may send on one connection, each counting once for every 4 KiB that it begins. */
  readonly framesPerSecond: number
  readonly framesBurst: number
  /** The largest frame that a client may send. */
  readonly frameBytes: number
  /** The largest `data` of an origin's event. */
  readonly dataBytes: number
  /** Events that the origin may publish, over all nodes. */
  readonly publishesPerSecond: number
  /** Events times sockets that they were written to, over all nodes. */
  readonly deliveriesPerSecond: number
  /** `send` frames on one connection. */
  readonly sendPerSecond: number
  /** Bytes that may wait for a client which reads too slowly. */
  readonly backpressureBytes: number
}

/** What the operator sets for a whole node. */
export interface NodeLimits {
  /** What any site gets at most, by the names of the site object. */
  readonly caps: Caps
  readonly attemptsPerSecond: number
  readonly unauthenticated: number
  readonly backpressureBytes: number
}

export type Caps = Readonly<Partial<Record<Name, number>>>

type Name = (typeof NAMES)[number]

const NAMES = [
  'connections',
  'connections_per_user',
  'threads',
  'frames_per_second',
  'frames_burst',
  'frame_bytes',
  'data_bytes',
  'publishes_per_second',
  'deliveries_per_second',
  'send_per_second',
  'backpressure_bytes',
] as const
const ADDRESS_NAMES = ['address_attempts_per_second', 'address_unauthenticated'] as const

const KIB = 1024
const MOST: Readonly<Partial<Record<string, number>>> = {
  // The gateway's cap on any frame is twice this (CONTRACT 24).
  frame_bytes: 128 * KIB,
  data_bytes: 1024 * KIB,
}
const LEAST: Readonly<Partial<Record<string, number>>> = {
  // Less would end a client for what is in flight to it.
  backpressure_bytes: 64 * KIB,
}
const NODE_BACKPRESSURE = 4096 * KIB

/** Returns a site's limits from its `limits`: what it asks for or the default, and never more than the node's caps. */
export function readSiteLimits(value: unknown, where: string, caps: Caps = {}): SiteLimits {
  const fields = readNumbers(value, where, NAMES)
  const limit = (name: Name, fallback: number): number =>
    Math.min((fields[name] as number | undefined) ?? fallback, caps[name] ?? Infinity)
  // A call signals 200 times a second at its busiest: `send` has its own limit below this one.
  const framesPerSecond = limit('frames_per_second', 300)
  const dataBytes = limit('data_bytes', 64 * KIB)
  return {
    connections: limit('connections', Infinity),
    connectionsPerUser: limit('connections_per_user', 1000),
    threads: limit('threads', 1000),
    framesPerSecond,
    framesBurst: limit('frames_burst', 2 * framesPerSecond),
    frameBytes: limit('frame_bytes', 64 * KIB),
    dataBytes,
    publishesPerSecond: limit('publishes_per_second', Infinity),
    deliveriesPerSecond: limit('deliveries_per_second', Infinity),
    sendPerSecond: limit('send_per_second', 250),
    backpressureBytes: limit('backpressure_bytes', Math.max(1024 * KIB, 2 * dataBytes)),
  }
}

/** Counts until a connection's site is known. */
export const UNKNOWN_SITE = readSiteLimits({}, '')

const VARIABLE = 'THROUGHLINE_LIMITS'

/** Returns the node's limits from a path or from the JSON itself; the defaults when undefined. Throws a TrustConfigError. */
export async function readNodeLimits(given: string | undefined): Promise<NodeLimits> {
  const fields = given === undefined ? {} : await readInline(VARIABLE, given, parseNode)
  const limit = (name: string, fallback: number): number => (fields[name] as number | undefined) ?? fallback
  const backpressureBytes = limit('backpressure_bytes', NODE_BACKPRESSURE)
  return {
    caps: { ...(fields as Caps), backpressure_bytes: backpressureBytes },
    // A node's restart brings back everybody behind one school's address within seconds, each of whom waits for a round trip.
    attemptsPerSecond: limit('address_attempts_per_second', 50),
    unauthenticated: limit('address_unauthenticated', 200),
    backpressureBytes,
  }
}

function parseNode(bytes: Buffer): Fields {
  return readNumbers(readJson(bytes), '', [...NAMES, ...ADDRESS_NAMES])
}

function readNumbers(value: unknown, where: string, names: readonly string[]): Fields {
  const fields = readFields(value, where, names)
  for (const [name, limit] of Object.entries(fields)) {
    const at = where === '' ? name : `${where}.${name}`
    if (!Number.isSafeInteger(limit) || (limit as number) < 1) {
      throw new Wrong(at, `expected a positive integer, found ${found(limit)}`)
    }
    const { [name]: most = Infinity } = MOST
    const { [name]: least = 1 } = LEAST
    if ((limit as number) > most) throw new Wrong(at, `expected at most ${most}, found ${found(limit)}`)
    if ((limit as number) < least) throw new Wrong(at, `expected at least ${least}, found ${found(limit)}`)
  }
  return fields
}
