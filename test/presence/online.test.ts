import { t } from 'tap'
import { Online } from '../../src/presence/online.ts'
import { onlineTopic } from '../../src/protocol/topic.ts'
import { parseSiteId } from '../../src/protocol/ids.ts'
import { valid } from '../contract/node.ts'
import { user } from '../contract/presence-store.ts'

const topic = (id: number) => onlineTopic(valid(parseSiteId('acme')), user(id))
const told = (online: Online): string[] => online.takeUntold().map(({ user, connections }) => `${user} ${connections}`)

await t.test('the first connection is told, further ones change nothing', async t => {
  const online = new Online()
  online.connected(topic(7))
  online.connected(topic(7))
  t.same(told(online), ['7 1'])
  online.disconnected(topic(7), 100)
  online.sweep(1000)
  t.same(told(online), [])
})

await t.test('in its grace a user is online, and is told as gone when it is over', async t => {
  const online = new Online()
  for (const id of [7, 8]) online.connected(topic(id))
  told(online)
  online.disconnected(topic(7), 100)
  online.disconnected(topic(8), 200)
  online.sweep(99)
  t.same(told(online), [])
  online.forget(() => true)
  t.same(told(online), ['7 1', '8 1'])
  online.sweep(100)
  t.same(told(online), ['7 0'])
  online.sweep(1000)
  t.same(told(online), ['8 0'])
  online.forget(() => true)
  t.same(told(online), [])
})

await t.test('who comes back within the grace was never gone, and has a grace of its own afterwards', async t => {
  const online = new Online()
  online.connected(topic(7))
  told(online)
  online.disconnected(topic(7), 100)
  online.connected(topic(7))
  online.sweep(100)
  online.disconnected(topic(7), 150)
  online.connected(topic(7))
  online.disconnected(topic(7), 300)
  online.sweep(150)
  t.same(told(online), [])
  online.sweep(300)
  t.same(told(online), ['7 0'])
})

await t.test('what could not be told is told as it is by then', async t => {
  const online = new Online()
  online.connected(topic(7))
  const entries = online.takeUntold()
  online.disconnected(topic(7), 100)
  online.sweep(100)
  online.giveBack(entries)
  t.same(told(online), ['7 0'])
  online.disconnected(topic(9), 100)
  t.same(told(online), [], 'and one that is not here is nothing')
})
