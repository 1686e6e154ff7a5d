import { isReachable, masterNamed, type Server } from '../../redis/facts.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'
import { unreachable } from './redis.ts'

/** Asks every Sentinel by itself: whether it knows the master, which, and whether they are enough to choose another. */
export async function sentinels({ config: { bus }, redis }: Patient): Promise<readonly Result[]> {
  const servers = bus.kind === 'sentinel' ? await redis() : undefined
  if (bus.kind !== 'sentinel' || servers === undefined) return [skipped('the bus is not behind Sentinel')]
  const reached = servers.guides.filter(isReachable)
  const away = servers.guides
    .filter(guide => 'reason' in guide)
    .map(guide => found('sentinel_unreachable', unreachable(guide).says))
  const answers = await Promise.all(reached.map(sentinel => look(sentinel, bus.name)))
  const masters = new Set(answers.flatMap(({ master }) => master ?? []))
  const agreed =
    masters.size > 1 ? [found('sentinel_disagrees', `Sentinels name ${[...masters].toSorted().join(' and ')}`)] : []
  return [...away, ...answers.flatMap(({ results }) => results), ...agreed]
}

async function look(sentinel: Server, name: string): Promise<{ master?: string; results: Result[] }> {
  const [master] = await masterNamed(sentinel, name)
  if (master === undefined) {
    return { results: [found('sentinel_master', `Sentinel ${sentinel.name} knows no master ${name}`)] }
  }
  const says = `Sentinel ${sentinel.name} names ${master}`
  try {
    const words = String(await sentinel.ask('SENTINEL', 'ckquorum', name))
    const usable = Number.parseInt(/OK (\d+)/.exec(words)?.[1] ?? '0', 10)
    const result =
      usable < 3 ? found('sentinel_quorum', `${says}; Sentinels that can be used: ${usable}`) : ok(`${says}; ${words}`)
    return { master, results: [result] }
  } catch (error) {
    return { master, results: [found('sentinel_quorum', `${says}; ${(error as Error).message}`)] }
  }
}
