import { t } from 'tap'
import { busContract } from '../contract/bus.ts'
import { noticeContract } from '../contract/bus-notices.ts'
import { sharedBusContract } from '../contract/bus-shared.ts'
import { startRedis } from '../support/redis.ts'
import { on } from './open.ts'

await t.test('the bus keeps the contract on one Redis', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  await busContract(t, open)
  await noticeContract(t, open)
  await sharedBusContract(t, open, [redis])
})
