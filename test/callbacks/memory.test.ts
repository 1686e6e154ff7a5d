import { t } from 'tap'
import { MemoryQueue } from '../../src/callbacks/memory.ts'
import { LONGEST } from '../../src/callbacks/queue.ts'
import { ACME, callbackQueueContract, fact, idsIn, take } from '../contract/callback-queue.ts'

await t.test('the queue keeps the contract in memory', async t => {
  await callbackQueueContract(t, async () => new MemoryQueue({ now: Date.now }))
})

await t.test('what has waited for a day is dropped', async t => {
  let now = Date.now()
  const queue = new MemoryQueue({ now: () => now })
  await queue.add(ACME, 'c', [fact('a')])
  now += LONGEST
  await queue.add(ACME, 'c', [fact('b')])
  now += 300
  t.same(idsIn(await take(queue)), ['b'])
})
