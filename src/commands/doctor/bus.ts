import { after, steadyClock } from '../../lib/clock.ts'
import { randomId } from '../../lib/random.ts'
import { Keys, PARTITIONS, slotOf } from '../../redis/keys.ts'
import { loadScript, type RedisLink } from '../../redis/link.ts'
import { openRedis } from '../../redis/redis.ts'
import { found, ok, type Patient, type Result } from './check.ts'
import { ofPrimaries } from './redis.ts'

const PROBE = loadScript('commands/doctor/probe')
const READY_MS = 3000
const BACK_MS = 2000
const SHOWN = 3

/** Uses Redis as a node does, as the same user and under the same names: scripts, then publishing to itself. */
export async function bus(patient: Patient): Promise<readonly Result[]> {
  const { config } = patient
  // One that is reached is enough to try: a cluster without one of its masters still serves the others' slots.
  const [why] = await ofPrimaries(patient, ({ name }) => Promise.resolve(ok(name)))
  if (config.bus.kind === 'memory' || why?.level !== 'ok') return why === undefined ? [] : [why]
  const link = openRedis(config.bus)
  const heard = new Map<string, () => void>()
  try {
    await connected(link, heard)
    const keys = new Keys(config.prefix)
    const results: Result[] = []
    for (const partition of onePerPrimary(link)) results.push(...(await tryPartition(link, keys, partition, heard)))
    return merged(results)
  } catch (error) {
    return [found('redis_rights', `Redis refused: ${(error as Error).message}`)]
  } finally {
    link.close()
  }
}

function connected(link: RedisLink, heard: ReadonlyMap<string, () => void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = after(READY_MS, () =>
      reject(new Error(`no connection for commands and one that listens in ${READY_MS / 1000} s`)),
    )
    const ready = (): void => {
      cancel()
      resolve()
    }
    link.listen({ connected: ready, interrupted() {}, message: channel => heard.get(channel)?.() })
    if (link.ready) ready()
  })
}

/** Every master of a cluster has rights and channels of its own. */
function onePerPrimary(link: RedisLink): number[] {
  const found = new Map<string | undefined, number>()
  for (let partition = 0; partition < PARTITIONS; partition++) found.set(link.primaryOf(slotOf(partition)), partition)
  found.delete(undefined)
  return [...found.values()]
}

async function tryPartition(
  link: RedisLink,
  keys: Keys,
  partition: number,
  heard: Map<string, () => void>,
): Promise<Result[]> {
  const channel = keys.tick(partition, `doctor-${randomId(9)}`)
  const names = ['string', 'hash', 'set', 'sorted', 'stream'].map(kind => `${channel}:${kind}`)
  const refused = (await link.run(PROBE, [...names, channel], [link.publishCommand])) as string[]
  const rights = refused.length > 0 ? [found('redis_rights', `Redis refuses scripts ${listed(refused)}`)] : []

  await link.subscribe([channel])
  const begun = steadyClock.now()
  const back = new Promise<boolean>(resolve => {
    after(BACK_MS, () => resolve(false))
    heard.set(channel, () => resolve(true))
  })
  await link.publish(channel, 'doctor')
  const came = await back
  link.unsubscribe([channel])
  if (!came) return [...rights, found('redis_deaf', `what was published did not come back in ${BACK_MS / 1000} s`)]
  return [...rights, ok(`what is published comes back in ${(steadyClock.now() - begun).toFixed(1)} ms`)]
}

function listed(refused: readonly string[]): string {
  const more = refused.length - SHOWN
  return refused.slice(0, SHOWN).join('; ') + (more > 0 ? `; and ${more} more` : '')
}

/** Says once what several masters have in common. */
function merged(results: readonly Result[]): Result[] {
  const said = new Set<string>()
  return results.filter(({ level, says }) => {
    const key = level === 'ok' ? level : says
    return !said.has(key) && said.add(key)
  })
}
