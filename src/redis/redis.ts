import type { RedisAddress } from './address.ts'
import { ClusterLink } from './cluster.ts'
import type { RedisLink } from './link.ts'
import { SingleLink } from './single.ts'

/** Begins to connect to a deployment's Redis, and keeps at it. */
export function openRedis(address: RedisAddress): RedisLink {
  return address.kind === 'cluster' ? new ClusterLink(address) : new SingleLink(address)
}
