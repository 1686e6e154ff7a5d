import { t } from 'tap'
import { busContract } from '../contract/bus.ts'
import { noticeContract } from '../contract/bus-notices.ts'
import { sharedBusContract } from '../contract/bus-shared.ts'
import { newPrefix, openNode, say, sayAll, threads, valid } from '../contract/node.ts'
import { moveSlot, startCluster } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { on } from './open.ts'

// A cluster takes seconds to form and to notice a loss.
t.setTimeout(300_000)

await t.test('the bus keeps the contract on a cluster of three masters', async t => {
  const { address, masters } = await startCluster(t)
  await busContract(t, on(address))
  await noticeContract(t, on(address))
  await sharedBusContract(t, on(address), masters)

  await t.test('the load is spread over all masters', async t => {
    const { bus } = await openNode(t, on(address), newPrefix())
    await bus.subscribe(threads(300))
    for (const master of masters) {
      const channels = (await master.cli('PUBSUB', 'SHARDCHANNELS')).split('\n').length
      t.ok(channels > 50, `${channels} channels on one`)
    }
  })
})

await t.test('when one master dies and comes back, every topic is heard again', async t => {
  const { address, masters } = await startCluster(t)
  const { bus, ear } = await openNode(t, on(address), newPrefix())
  const topics = threads(200)
  await bus.subscribe(topics)
  const before = await sayAll(bus, topics)
  await masters[1]?.kill()
  await until(() => ear.changes.includes(false), { what: 'the loss to be told' })
  await t.rejects(sayAll(bus, topics), { code: 'bus_down' }, 'a publication that needs it is refused')
  const served = await Promise.allSettled(topics.map(topic => say(bus, topic)))
  t.ok(served.filter(({ status }) => status === 'fulfilled').length > 100, 'the chains of the others go on')
  await masters[1]?.restart()
  await until(() => bus.up, { ms: 30_000, what: 'the bus to be up again' })
  const placed = await until(() => sayAll(bus, topics).catch(() => undefined), { what: 'a publish to succeed' })
  for (const [i, topic] of topics.entries()) await ear.hears(topic, valid(placed[i]).stamp)
  t.same(
    topics.filter((_, i) => valid(placed[i]).stamp <= valid(before[i]).stamp),
    [],
    'stamps go on growing',
  )
})

await t.test('a lost subscriber connection to one master is told, and healed', async t => {
  const { address, masters } = await startCluster(t)
  const { bus, ear } = await openNode(t, on(address), newPrefix())
  const topics = threads(200)
  await bus.subscribe(topics)
  await masters[2]?.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => ear.changes.includes(false), { what: 'the loss to be told' })
  await until(() => bus.up, { ms: 30_000, what: 'the bus to be up again' })
  const placed = await sayAll(bus, topics)
  for (const [i, topic] of topics.entries()) await ear.hears(topic, valid(placed[i]).stamp)
})

await t.test('a slot that moves to another master takes its topics along', async t => {
  const { address, masters } = await startCluster(t)
  const prefix = newPrefix()
  const { bus, ear } = await openNode(t, on(address), prefix)
  const topics = threads(200)
  await bus.subscribe(topics)
  const before = await sayAll(bus, topics)
  const [from, to] = [valid(masters[0]), valid(masters[1])]
  const key = valid((await from.entries()).find(entry => entry.key.includes('thread:'))).key
  await moveSlot(key, from, to, masters)

  let placed = before
  const isHeard = async (): Promise<boolean> => {
    placed = (await sayAll(bus, topics).catch(() => undefined)) ?? placed
    return bus.up && topics.every((topic, i) => ear.of(topic).some(({ stamp }) => stamp === placed[i]?.stamp))
  }
  await until(isHeard, { ms: 30_000, what: 'every topic to be heard after the move' })
  t.same(
    topics.filter((_, i) => valid(placed[i]).stamp <= valid(before[i]).stamp),
    [],
    'stamps go on growing',
  )
})
