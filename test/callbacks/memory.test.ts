import { t } from 'tap'
import { MemoryQueue } from '../../src/callbacks/memory.ts'
import { LONGEST } from '../../src/callbacks/queue.ts'
import { ACME, callbackQueueContract, fact, idsIn, take } from '../contract/callback-queue.ts'

await t.test('the queue keeps the contract in memory', async t => {
  await callbackQueueContract(t, async () => new MemoryQueue({ now: Date.now }))
})

for (const paused of [false, true]) {
  await t.test(`what has waited for a day is dropped${paused ? ', in a pause too' : ''}`, async t => {
    let now = Date.now()
    const queue = new MemoryQueue({ now: () => now })
    if (paused) await queue.pause(ACME)
    await queue.add(ACME, 'c', [fact('a')])
    now += LONGEST + 1
    t.equal((await queue.add(ACME, 'c', [fact('b')])).dropped, 1)
    await queue.resume(ACME)
    now += 300
    t.same(idsIn(await take(queue)), ['b'])
  })
}
