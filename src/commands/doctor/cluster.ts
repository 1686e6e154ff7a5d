import { fieldsOf, isReachable } from '../../redis/facts.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'
import { REDIS_AWAY } from './redis.ts'

const SLOTS = 16_384

/** Tells whether every slot of a Redis Cluster has a master that serves it. */
export async function cluster({ config, redis }: Patient): Promise<readonly Result[]> {
  const servers = config.bus.kind === 'cluster' ? await redis() : undefined
  if (servers === undefined) return [skipped('the bus is not a Redis Cluster')]
  const node = servers.guides.find(isReachable)
  if (node === undefined) return [REDIS_AWAY]
  const info = fieldsOf(await node.ask('CLUSTER', 'INFO'))
  const served = Number(info.get('cluster_slots_ok'))
  const says = `${served} of ${SLOTS} slots are served by ${servers.primaries.length} masters`
  return [served === SLOTS ? ok(says) : found('cluster_slots', `${says} (cluster_state: ${info.get('cluster_state')})`)]
}
