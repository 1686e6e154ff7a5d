import { Redis } from 'ioredis'
import type { HostPort, Login, RedisAddress } from './address.ts'

/** One server of a deployment's Redis, asked for itself and not for what is in it. */
export interface Server {
  /** host:port. */
  readonly name: string
  /** Rejects with Redis' own words, such as those of a right that is missing. */
  ask(command: string, ...args: readonly string[]): Promise<unknown>
}

/** A server to which there is no way, and why. */
export interface Unreachable {
  readonly name: string
  readonly reason: string
}

export interface RedisServers {
  /** Those that hold data: the one server, the master that Sentinel names, the masters of a cluster. */
  readonly primaries: readonly (Server | Unreachable)[]
  /** What was asked for them. */
  readonly guides: readonly (Server | Unreachable)[]
  close(): void
}

/** A URL, or where and as whom. */
type Target = string | (HostPort & Login)

const CONNECT_MS = 2000
const COMMAND_MS = 2000

/** Connects to every server of a deployment's Redis, once and without trying again. Never rejects. */
export async function openServers(address: RedisAddress): Promise<RedisServers> {
  const open: Redis[] = []
  const connect = async (name: string, at: Target): Promise<Server | Unreachable> => {
    const opened = await connectServer(name, at)
    if ('reason' in opened) return opened
    open.push(opened.redis)
    return { name, ask: (command, ...args) => opened.redis.call(command, ...args) }
  }
  const connectAll = (names: readonly string[], login: Login): Promise<(Server | Unreachable)[]> =>
    Promise.all(names.map(name => connect(name, { ...login, ...hostPort(name) })))

  const close = (): void => open.forEach(redis => redis.disconnect())
  if (address.kind === 'single') {
    return { primaries: [await connect(new URL(address.url).host, address.url)], guides: [], close }
  }
  const cluster = address.kind === 'cluster'
  const guides = await connectAll(
    (cluster ? address.nodes : address.sentinels).map(nameOf),
    cluster ? address.login : {},
  )
  const names = await firstAnswer(guides, cluster ? mastersOf : guide => masterNamed(guide, address.name))
  return { primaries: await connectAll(names, address.login), guides, close }
}

/** Returns the address of the master that a Sentinel names, as a list of one; none if it knows no such name. */
export async function masterNamed(sentinel: Server, name: string): Promise<string[]> {
  const found = (await sentinel.ask('SENTINEL', 'get-master-addr-by-name', name)) as [string, string] | null
  return found === null ? [] : [nameOf({ host: found[0], port: Number(found[1]) })]
}

export function isReachable(server: Server | Unreachable): server is Server {
  return 'ask' in server
}

/** Returns the fields of an answer to INFO, or of another in the same form. */
export function fieldsOf(info: unknown): ReadonlyMap<string, string> {
  return new Map([...String(info).matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]))
}

/** A slot range's masters are told first in its entry: [first, last, [host, port, id], …replicas]. */
async function mastersOf(node: Server): Promise<string[]> {
  const ranges = (await node.ask('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
  return [...new Set(ranges.map(([, , [host, port]]) => nameOf({ host: host || hostPort(node.name).host, port })))]
}

async function firstAnswer(
  guides: readonly (Server | Unreachable)[],
  ask: (guide: Server) => Promise<string[]>,
): Promise<string[]> {
  for (const guide of guides.filter(isReachable)) {
    const names = await ask(guide).catch(() => [])
    if (names.length > 0) return names
  }
  return []
}

async function connectServer(name: string, at: Target): Promise<{ redis: Redis } | Unreachable> {
  const once = {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    // A server that loads its data, or whose INFO is forbidden, is to be told as it is.
    enableReadyCheck: false,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
  }
  const redis = typeof at === 'string' ? new Redis(at, once) : new Redis({ ...once, ...at })
  // The rejection says only that the connection is closed; the error before it says why.
  let reason: string | undefined
  redis.on('error', (error: Error) => (reason ??= error.message))
  try {
    await redis.connect()
    await redis.call('PING')
    return { redis }
  } catch (error) {
    redis.disconnect()
    return { name, reason: reason ?? (error as Error).message }
  }
}

function nameOf({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function hostPort(name: string): HostPort {
  const colon = name.lastIndexOf(':')
  return { host: name.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(name.slice(colon + 1)) }
}
