import { t } from 'tap'
import { busContract } from '../contract/bus.ts'
import { noticeContract } from '../contract/bus-notices.ts'
import { sharedBusContract } from '../contract/bus-shared.ts'
import { newPrefix, openNode, say, sayAll, threads, valid } from '../contract/node.ts'
import { startSentinel } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { on } from './open.ts'

// A sentinel takes some 10 s to make the old master a replica.
t.setTimeout(300_000)

await t.test('the bus keeps the contract on a master that Sentinel names', async t => {
  const { address, servers } = await startSentinel(t)
  const [master] = servers
  await busContract(t, on(address))
  await noticeContract(t, on(address))
  await sharedBusContract(t, on(address), [master])
})

await t.test('after a failover the bus goes on with the new master, in a new era', async t => {
  const setup = await startSentinel(t)
  const prefix = newPrefix()
  const nodes = [await openNode(t, on(setup.address), prefix), await openNode(t, on(setup.address), prefix)] as const
  const topics = threads(100)
  for (const { bus } of nodes) await bus.subscribe(topics)
  const before = await sayAll(nodes[0].bus, topics)
  const eras = topics.map(topic => nodes[0].bus.eraStart(topic))

  await setup.failover()
  // For a moment the old master still serves; its clients are cut off when it becomes a replica.
  await until(() => nodes.every(({ ear }) => ear.changes.includes(false)), {
    what: 'both nodes to be told',
  })
  const isHeard = async (): Promise<boolean> => {
    const placed = await sayAll(nodes[0].bus, topics).catch(() => undefined)
    if (placed === undefined || !nodes.every(({ bus }) => bus.up)) return false
    const all = nodes.every(({ ear }) =>
      topics.every((topic, i) => ear.of(topic).some(({ stamp }) => stamp === placed[i]?.stamp)),
    )
    return all
  }
  await until(isHeard, { ms: 40_000, what: 'an event to be heard by both nodes through the new master' })
  for (const { bus, ear } of nodes) {
    t.same(ear.changes.slice(-2), [false, true])
    t.same(
      topics.filter((topic, i) => bus.eraStart(topic) <= valid(before[i]).stamp),
      [],
      'the era begins after what was before',
    )
    t.same(
      topics.filter((topic, i) => bus.eraStart(topic) === eras[i]),
      [],
      'and is new',
    )
  }
  const stamp = (await say(nodes[1].bus, valid(topics[0]))).stamp
  t.ok(stamp > valid(before[0]).stamp)
})

await t.test('when the master dies the bus goes on with the one that Sentinel promotes', async t => {
  const setup = await startSentinel(t)
  const { bus, ear } = await openNode(t, on(setup.address), newPrefix())
  const topics = threads(100)
  await bus.subscribe(topics)
  await sayAll(bus, topics)
  await setup.servers[0].kill()
  await until(() => !bus.up, { what: 'the bus to be down' })
  await until(() => bus.up, { ms: 40_000, what: 'the bus to be up on the new master' })
  const placed = await sayAll(bus, topics)
  for (const [i, topic] of topics.entries()) await ear.hears(topic, valid(placed[i]).stamp)
  t.same(ear.changes.slice(-2), [false, true])
})
