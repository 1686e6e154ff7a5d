import type { Test } from 'tap'
import type { CallbackQueue } from '../../src/callbacks/queue.ts'
import { RedisQueue } from '../../src/callbacks/redis.ts'
import type { RedisAddress } from '../../src/redis/address.ts'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import { until } from '../support/until.ts'

/** Opens the queue of one more node, for as long as `t` runs. */
export async function openQueue(t: Test, address: RedisAddress, prefix: string): Promise<CallbackQueue> {
  const link = openRedis(address)
  t.teardown(() => link.close())
  await until(() => link.ready, { what: 'Redis' })
  return new RedisQueue(link, new Keys(prefix))
}
