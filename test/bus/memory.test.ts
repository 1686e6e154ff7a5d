import { t } from 'tap'
import { MemoryBus } from '../../src/bus/memory.ts'
import { busContract } from '../contract/bus.ts'
import { noticeContract } from '../contract/bus-notices.ts'

await t.test('the memory bus keeps the contract', async t => {
  await busContract(t, async () => new MemoryBus())
  await noticeContract(t, async () => new MemoryBus())
})
