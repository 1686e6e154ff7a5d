/** A Redis that stops, hangs, comes back, or drops connections (CONTRACT 27). */
import { t } from 'tap'
import { parseEventId } from '../../src/protocol/ids.ts'
import {
  earThat,
  event,
  fence,
  follow,
  newPrefix,
  openDeaf,
  openNode,
  readHeads,
  say,
  sayAll,
  thread,
  threads,
  valid,
} from '../contract/node.ts'
import { freePort } from '../support/ports.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { logged, on } from './open.ts'

// Some of these wait out the bus's own time limits.
t.setTimeout(300_000)

const TOPIC = thread('42')
const ID = valid(parseEventId('order-1'))
const BUS_DOWN = { code: 'bus_down', message: /cannot reach its bus/ }

await t.test('when Redis stops the listener is told, and publish and subscribe refuse within 5 s', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  await redis.stop()
  await until(() => !bus.up, { what: 'the bus to be down' })
  t.same(ear.changes.slice(-1), [false])
  const begun = performance.now()
  await t.rejects(say(bus, TOPIC), BUS_DOWN)
  await t.rejects(say(bus, TOPIC, { ephemeral: true, id: ID }), BUS_DOWN)
  await t.rejects(sayAll(bus, threads(1000)), BUS_DOWN)
  await t.rejects(bus.subscribe([thread('43')]), BUS_DOWN)
  await t.rejects(bus.read([TOPIC]), BUS_DOWN)
  t.ok(performance.now() - begun < 5000)
  t.doesNotThrow(() => bus.unsubscribe([thread('43')]))
})

await t.test('when Redis is back the listener is told, and every topic is heard again', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await bus.subscribe([TOPIC, thread('gone')])
  await redis.stop()
  await until(() => !bus.up, { what: 'the bus to be down' })
  await t.rejects(bus.subscribe([thread('meanwhile')]), BUS_DOWN)
  bus.unsubscribe([thread('gone')])

  await redis.restart()
  await until(() => bus.up, { what: 'the bus to be up again' })
  t.same(ear.changes.slice(-2), [false, true])
  for (const topic of [TOPIC, thread('meanwhile')]) await ear.hears(topic, (await say(bus, topic)).stamp)
  await say(bus, thread('gone'))
  await fence({ bus, ear })
  t.equal(ear.of(thread('gone')).length, 0, 'but what was let go during the outage')
})

await t.test('up is told after everything is subscribed to again', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const publisher = await openNode(t, open, prefix)
  const { bus, ear } = await openNode(t, open, prefix)
  const topics = threads(500)
  await bus.subscribe(topics)
  // What the hub does when it is told: read the heads, and trust that nothing is missed from then on.
  const reading: Promise<number[]>[] = []
  bus.listen(
    earThat(ear, up => {
      if (up) reading.push(readHeads(bus, topics))
    }),
  )
  await redis.restart()
  await until(() => publisher.bus.up, { what: 'the publisher to be up again' })
  const stamps: number[][] = topics.map(() => [])
  while (reading.length === 0 || stamps[0]?.length === 0) {
    const placed = await sayAll(publisher.bus, topics)
    for (const [i, { stamp }] of placed.entries()) stamps[i]?.push(stamp)
  }
  const known = valid(await reading[0])
  await fence({ bus, ear })
  const missed = topics.filter((topic, i) => {
    const heard = new Set(ear.of(topic).map(({ stamp }) => stamp))
    return stamps[i]?.some(stamp => stamp > valid(known[i]) && !heard.has(stamp))
  })
  t.same(missed, [])
})

await t.test('a bus opens without Redis, says so, and is up when Redis comes', async t => {
  const redis = await startRedis(t)
  await redis.stop()
  const begun = performance.now()
  const { bus, ear } = await openDeaf(t, on({ kind: 'single', url: redis.url }), newPrefix())
  t.ok(performance.now() - begun < 5000, 'a node must start')
  t.notOk(bus.up)
  t.equal(bus.eraStart(TOPIC), 0, 'the era is not known')
  await t.rejects(say(bus, TOPIC), BUS_DOWN)
  await t.rejects(bus.subscribe([TOPIC]), BUS_DOWN)
  await redis.restart()
  await until(() => bus.up, { what: 'the bus to be up' })
  t.same(ear.changes, [true])
  await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
})

await t.test('a bus that never was up can be closed', async t => {
  const bus = await on({ kind: 'single', url: `redis://127.0.0.1:${await freePort()}` })(newPrefix())
  await bus.close()
  await t.rejects(say(bus, TOPIC), BUS_DOWN)
})

await t.test(
  'when Redis answers no more, publish refuses within 5 s, and the same call again completes it once',
  async t => {
    const redis = await startRedis(t)
    const open = on({ kind: 'single', url: redis.url })
    const prefix = newPrefix()
    const node = await openNode(t, open, prefix)
    const other = await openNode(t, open, prefix)
    await follow(node.bus, TOPIC)
    await follow(other.bus, TOPIC)
    redis.pause()
    const begun = performance.now()
    const marker = 'secret-marker'
    await t.rejects(say(node.bus, TOPIC, { id: ID, frame: event(`"${marker}"`) }), BUS_DOWN)
    t.ok(performance.now() - begun < 5000, 'within 5 s')
    t.same(
      logged.filter(line => line.includes(marker)),
      [],
      'the log tells nothing of the content',
    )
    redis.resume()
    const placed = await until(() => say(node.bus, TOPIC, { id: ID }).catch(() => undefined), {
      what: 'a publish to succeed',
    })
    await until(() => node.bus.up && other.bus.up, { what: 'both nodes to be up' })
    t.equal(await follow(node.bus, TOPIC), placed.stamp, 'one place in the chain')
    await Promise.all([fence(node), fence(other)])
    for (const { ear } of [node, other]) t.ok(ear.of(TOPIC).length <= 1, 'never twice')
  },
)

await t.test('when Redis answers no more, the bus finds out without traffic', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  redis.pause()
  await until(() => !bus.up, { what: 'the bus to miss its ticks' })
  t.same(ear.changes.slice(-1), [false])
  redis.resume()
  await until(() => bus.up, { what: 'the bus to be up again' })
  t.same(ear.changes.slice(-2), [false, true])
  await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
})

await t.test('a lost subscriber connection alone is noticed and told', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => ear.changes.includes(false), { what: 'the loss to be told' })
  await until(() => bus.up, { what: 'the bus to be up again' })
  t.same(ear.changes.slice(-2), [false, true])
  await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
})

await t.test('lost command connections are noticed and told', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
  await until(() => ear.changes.includes(false), { what: 'the loss to be told' })
  await until(() => bus.up, { what: 'the bus to be up again' })
  await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
})

await t.test('every publish that was under way when Redis died is answered within 5 s', async t => {
  const redis = await startRedis(t)
  const { bus } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await say(bus, TOPIC)
  const begun = performance.now()
  redis.pause()
  const outcome = (i: number): Promise<unknown> =>
    say(bus, thread(String(i))).then(
      () => 'placed',
      ({ code }: { code: unknown }) => code,
    )
  const outcomes = Array.from({ length: 200 }, (_, i) => outcome(i))
  await redis.kill()
  t.same(await Promise.all(outcomes), Array(200).fill('bus_down'))
  t.ok(performance.now() - begun < 5000)
})

await t.test('what is let go while the command connection is lost stays let go', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await bus.subscribe([TOPIC, thread('kept')])
  bus.listen(
    earThat(ear, up => {
      ear.busChanged(up)
      if (!up) bus.unsubscribe([TOPIC])
    }),
  )
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
  await until(() => ear.changes.includes(true), { what: 'the bus to be up again' })
  await say(bus, TOPIC)
  await ear.hears(thread('kept'), (await say(bus, thread('kept'))).stamp)
  t.equal(ear.of(TOPIC).length, 0)
})

await t.test('the largest publication that the API takes does not cost the connection', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  const topics = threads(1000)
  await bus.subscribe(topics)
  const frame = event(Buffer.alloc(65_536, '"x"'))
  for (let i = 0; i < 3; i++) {
    const placed = await sayAll(bus, topics, { frame })
    await ear.hears(valid(topics[999]), valid(placed[999]).stamp)
  }
  await fence({ bus, ear })
  t.same(
    ear.changes.filter(up => !up),
    [],
    'the bus was never down',
  )
  t.equal(topics.filter(topic => ear.of(topic).length !== 3).length, 0, 'and everything has arrived')
})

await t.test('scripts that Redis has forgotten are given to it again', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  await say(bus, TOPIC)
  await redis.cli('SCRIPT', 'FLUSH')
  const placed = await Promise.all(Array.from({ length: 20 }, () => say(bus, TOPIC)))
  await fence({ bus, ear })
  t.equal(ear.of(TOPIC).length, 21)
  t.equal(new Set(placed.map(({ stamp }) => stamp)).size, 20)
  t.same(
    ear.changes.filter(up => !up),
    [],
    'the bus was never down',
  )
})
