import { t } from 'tap'
import { parseSiteId } from '../../src/protocol/ids.ts'
import { callbackQueueContract, fact, idsIn, take } from '../contract/callback-queue.ts'
import { newPrefix, valid } from '../contract/node.ts'
import { startCluster } from '../support/redis.ts'
import { openQueue } from './open.ts'

t.setTimeout(300_000)

const { address, masters } = await startCluster(t)

await t.test('the queue keeps the contract on a cluster of three masters', async t => {
  await callbackQueueContract(t, t => openQueue(t, address, newPrefix()))
})

await t.test('sites are spread over the masters, and due wherever they are', async t => {
  const prefix = newPrefix()
  const queue = await openQueue(t, address, prefix)
  const sites = Array.from({ length: 30 }, (_, i) => valid(parseSiteId(`site-${i}`)))
  for (const site of sites) {
    await queue.add(site, 'c', [fact(`of-${site}`)])
    await queue.pause(site)
    await queue.resume(site)
  }
  for (const master of masters) {
    const entries = await master.entries()
    t.ok(entries.some(({ key }) => key.startsWith(`${prefix}:`)))
    t.same(
      entries.filter(({ ttl }) => ttl < 0),
      [],
      'every key has an end',
    )
  }
  t.same((await queue.due()).toSorted(), sites.toSorted())
  for (const site of sites) t.same(idsIn(await take(queue, site)), [`of-${site}`])
})
