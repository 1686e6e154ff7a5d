import { fieldsOf, isReachable, type Server, type Unreachable } from '../../redis/facts.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'

const MIB = 1024 * 1024
/** A part of what is published at once (docs/decisions/005), and room for what frames it. */
const ONE_PART = 2 * MIB
const DEFAULT_BUFFER = 32 * MIB
/** Redis' default, in microseconds. */
const SLOW_MICROS = 10_000

/** What keeps checks of Redis from being made. */
const NO_REDIS = skipped('the bus is memory: one node, and no Redis')
export const REDIS_AWAY = skipped('Redis cannot be reached')

/** Looks at each server that holds data: whether it answers, what it is, and how it is set. */
export async function redis({ config, redis }: Patient): Promise<readonly Result[]> {
  const servers = await redis()
  if (servers === undefined) return [NO_REDIS]
  const { primaries, guides } = servers
  if (primaries.length === 0) {
    const away = guides.filter(guide => 'reason' in guide)
    return away.length < guides.length ? [skipped('no master is known')] : away.map(unreachable)
  }
  const results = await Promise.all(
    primaries.map(server =>
      isReachable(server) ? look(server, config.bus.kind === 'cluster') : Promise.resolve([unreachable(server)]),
    ),
  )
  return results.flat()
}

/** Asks each server that answers, side by side, or says why there is none to ask. */
export async function ofPrimaries(
  { redis }: Patient,
  ask: (server: Server) => Promise<Result>,
): Promise<readonly Result[]> {
  const servers = await redis()
  if (servers === undefined) return [NO_REDIS]
  const reached = servers.primaries.filter(isReachable)
  return reached.length === 0 ? [REDIS_AWAY] : Promise.all(reached.map(ask))
}

export function unreachable({ name, reason }: Unreachable): Result {
  const login = /^(WRONGPASS|NOAUTH|ERR invalid (password|username))/.test(reason)
  return login
    ? found('redis_login', `${name} does not take the login (${reason.split(/[\s:]/, 1)[0]})`)
    : found('redis_unreachable', `${name} cannot be reached (${reason})`)
}

async function look(server: Server, cluster: boolean): Promise<Result[]> {
  let info: ReadonlyMap<string, string>
  try {
    info = fieldsOf(await server.ask('INFO'))
  } catch (error) {
    return [found('redis_rights', `${server.name} does not let this user ask INFO (${(error as Error).message})`)]
  }
  return [
    judgeVersion(server.name, info, cluster),
    judgeEviction(server.name, info),
    await setting(server, 'client-output-buffer-limit', judgeBuffer),
    await setting(server, 'slowlog-log-slower-than', judgeSlowlog),
    judgePersistence(server.name, info),
  ]
}

function judgeVersion(name: string, info: ReadonlyMap<string, string>, cluster: boolean): Result {
  const version = info.get('redis_version') ?? 'unknown'
  const role = info.get('role') ?? 'unknown'
  const says = `${name} is Redis ${version}, ${role}`
  if (role !== 'master') return found('redis_replica', says)
  return Number.parseInt(version, 10) < (cluster ? 7 : 6) ? found('redis_old', says) : ok(says)
}

function judgeEviction(name: string, info: ReadonlyMap<string, string>): Result {
  const policy = info.get('maxmemory_policy')
  const says = `${name}: maxmemory-policy is ${policy}`
  if (policy === 'noeviction') return ok(says)
  return info.get('maxmemory') === '0'
    ? found('redis_may_evict', `${says}; nothing is evicted while maxmemory is 0`)
    : found('redis_evicts', says)
}

/** Managed Redis, or a user with few rights, may forbid CONFIG: then these are for whoever runs it. */
async function setting(
  server: Server,
  setting: string,
  judge: (name: string, value: string) => Result,
): Promise<Result> {
  try {
    const [, value] = (await server.ask('CONFIG', 'GET', setting)) as string[]
    return judge(server.name, value ?? '')
  } catch {
    return skipped(`${server.name} does not let this user ask for ${setting}`)
  }
}

export function judgeBuffer(name: string, value: string): Result {
  const [, hard = 0, soft = 0, seconds = 0] = (/pubsub (\d+) (\d+) (\d+)/.exec(value) ?? []).map(Number)
  const says = `${name}: client-output-buffer-limit pubsub is ${hard} ${soft} ${seconds}`
  const least = Math.min(hard || Infinity, soft === 0 || seconds > 0 ? Infinity : soft)
  if (least < ONE_PART) return found('redis_buffer_small', says)
  return least < DEFAULT_BUFFER ? found('redis_buffer_low', says) : ok(says)
}

function judgeSlowlog(name: string, value: string): Result {
  const says = `${name}: slowlog-log-slower-than is ${value}`
  return Number(value) >= 0 && Number(value) < SLOW_MICROS ? found('redis_slowlog', says) : ok(says)
}

function judgePersistence(name: string, info: ReadonlyMap<string, string>): Result {
  const failing = ['rdb_last_bgsave_status', 'aof_last_write_status'].filter(field => info.get(field) === 'err')
  if (failing.length > 0) return found('redis_saving_fails', `${name} cannot save (${failing.join(', ')}: err)`)
  const saves = info.get('aof_enabled') === '1' ? 'a log of all writes (AOF)' : 'no log of writes (AOF)'
  // Whatever is lost is noticed by the era: clients ask their origins, and nothing goes missing unseen.
  return ok(`${name} keeps ${saves}; what a crash loses of the heads, clients ask their origins for`)
}
