/** A Redis that has lost its memory, or part of it, must never let a loss go unseen (DESIGN §7, eras). */
import { t } from 'tap'
import {
  fence,
  follow,
  followAll,
  newPrefix,
  openDeaf,
  openNode,
  placeOf,
  say,
  sayAll,
  thread,
  threads,
  valid,
} from '../contract/node.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { on } from './open.ts'

const TOPIC = thread('42')

/** Leaves the head of TOPIC as a Redis would whose clock was a minute ahead, and returns it. */
async function setAhead(redis: RedisServer): Promise<number> {
  const { key } = valid((await redis.entries()).find(entry => entry.key.endsWith('thread:42')))
  const head = (Date.now() + 60_000) * 1000
  await redis.cli('SET', key, String(head), 'EX', 1000)
  return head
}

// Two of these wait for a node to look by itself.
t.setTimeout(300_000)

await t.test('the first head that can be read after a start without Redis is a true one', async t => {
  const redis = await startRedis(t)
  await redis.stop()
  const { bus } = await openDeaf(t, on({ kind: 'single', url: redis.url }), newPrefix())
  const restarted = redis.restart()
  // Asks all the time, so that it is answered in the moment between connected and up.
  let head: number | undefined
  while (head === undefined) {
    head = await follow(bus, TOPIC).catch(() => undefined)
    await new Promise(resolve => setImmediate(resolve))
  }
  await restarted
  await until(() => bus.up, { what: 'the bus to be up' })
  t.equal(head, bus.eraStart(TOPIC))
})

await t.test('when Redis is emptied stamps go on growing, in a new era', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await follow(bus, TOPIC)
  const { stamp: last } = await say(bus, TOPIC)
  await ear.hears(TOPIC, last)
  await redis.cli('FLUSHALL')
  const { stamp } = await say(bus, TOPIC)
  t.ok(stamp > last)
  const { prev } = placeOf(await ear.hears(TOPIC, stamp))
  t.ok(Number(prev) > last, 'the next event does not fit, so that clients ask')
  t.equal(prev, String(bus.eraStart(TOPIC)))
})

await t.test('a chain whose head was lost does not fall back to a start that clients know', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const publisher = await openNode(t, open, prefix)
  const { bus } = await openNode(t, open, prefix)
  // A client came, saw the start of the chain, and left.
  const known = await follow(bus, TOPIC)
  bus.unsubscribe([TOPIC])
  await say(publisher.bus, TOPIC)
  await redis.cli('FLUSHALL')
  await say(publisher.bus, thread('43'))
  t.not(await follow(bus, TOPIC), known, 'it would be told that it has missed nothing')
})

await t.test('when the clock of Redis stands before the last stamp, stamps go on by one', async t => {
  const redis = await startRedis(t)
  const { bus } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  await say(bus, TOPIC)
  const ahead = await setAhead(redis)
  t.equal((await say(bus, TOPIC)).stamp, ahead + 1)
  t.equal((await say(bus, TOPIC)).stamp, ahead + 2)
})

await t.test('a node that knows of a newer stamp raises the era that another has begun', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const node = await openNode(t, open, prefix)
  await follow(node.bus, TOPIC)
  await say(node.bus, TOPIC)
  await setAhead(redis)
  const { stamp: newest } = await say(node.bus, TOPIC)
  await node.ear.hears(TOPIC, newest)

  await redis.cli('FLUSHALL')
  const other = await openNode(t, open, prefix)
  t.ok(other.bus.eraStart(TOPIC) < newest, 'one who has not heard it begins an era without it')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => [node, other].every(({ bus, ear }) => ear.changes.includes(false) && bus.up), {
    what: 'both nodes to be up again',
  })
  t.ok(node.bus.eraStart(TOPIC) > newest, 'one who has raises it')
  t.ok((await say(other.bus, TOPIC)).stamp > newest, 'and stamps go on growing')
})

await t.test('when Redis comes back older than it was, a new era begins after all that was delivered', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const node = await openNode(t, open, prefix)
  const other = await openNode(t, open, prefix)
  const { bus, ear } = node
  const topics = threads(200)
  await bus.subscribe(topics)
  await sayAll(bus, topics)
  await redis.cli('SAVE')
  const forgotten = await sayAll(bus, topics)
  await fence(node)
  const eras = topics.map(topic => bus.eraStart(topic))

  await redis.restart()
  await until(() => !ear.changes.at(-1) || bus.up, { what: 'the loss to be told' })
  await until(() => bus.up && other.bus.up && ear.changes.includes(true), { what: 'both nodes to be up again' })
  const late = topics.filter((topic, i) => !(bus.eraStart(topic) > valid(forgotten[i]).stamp))
  t.same(late, [], 'every era begins after the last stamp')
  t.same(
    topics.filter((topic, i) => bus.eraStart(topic) === eras[i]),
    [],
    'and is another than before',
  )
  t.same(
    topics.map(topic => other.bus.eraStart(topic)),
    topics.map(topic => bus.eraStart(topic)),
    'the same for both nodes',
  )

  t.same(
    await followAll(bus, topics),
    topics.map(topic => bus.eraStart(topic)),
    'heads from before it are none: what comes next fits to nothing that a client knows',
  )
  const placed = await sayAll(bus, topics)
  t.same(
    topics.filter((topic, i) => valid(placed[i]).stamp <= bus.eraStart(topic)),
    [],
    'what comes now is of the new era',
  )
})

await t.test('a node that was away finds an era that it can compare with', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const first = await openNode(t, open, prefix)
  const second = await openNode(t, open, prefix)
  const topics = threads(200)
  t.same(
    topics.map(topic => second.bus.eraStart(topic)),
    topics.map(topic => first.bus.eraStart(topic)),
    'opening makes none',
  )
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => first.ear.changes.includes(true) && first.bus.up, { what: 'the first node to be up again' })
  const third = await openNode(t, open, prefix)
  t.same(
    topics.map(topic => third.bus.eraStart(topic)),
    topics.map(topic => first.bus.eraStart(topic)),
    'nor does a broken connection',
  )
})

await t.test('a Redis that is emptied while nothing happens is noticed, and told once for all its chains', async t => {
  const redis = await startRedis(t)
  const { bus, ear } = await openNode(t, on({ kind: 'single', url: redis.url }), newPrefix())
  const topics = threads(300)
  await bus.subscribe(topics)
  const placed = await sayAll(bus, topics)
  await redis.cli('FLUSHALL')
  await until(() => ear.eraChanges.length > 0, { what: 'the loss to be noticed' })
  t.equal(topics.filter(topic => ear.eraChanges.some(concerns => concerns(topic))).length, topics.length)
  t.equal(ear.eraChanges.length, 1)
  t.ok(topics.every((topic, i) => bus.eraStart(topic) > valid(placed[i]).stamp))
})

await t.test('a node that another has told of a new era by nothing but its events begins no other', async t => {
  const redis = await startRedis(t)
  const open = on({ kind: 'single', url: redis.url })
  const prefix = newPrefix()
  const [one, other] = [await openNode(t, open, prefix), await openNode(t, open, prefix)]
  for (const { bus } of [one, other]) await bus.subscribe([thread('1')])
  await redis.cli('FLUSHALL')
  const { stamp } = await say(one.bus, thread('1'))
  await other.ear.hears(thread('1'), stamp)
  const start = one.bus.eraStart(thread('1'))
  await until(() => other.bus.eraStart(thread('1')) === start, { what: 'the other to learn of it' })
  t.equal(valid((await one.bus.read([thread('1')]))[0]).head, stamp, 'the chain goes on')
  t.equal(one.bus.eraStart(thread('1')), start)
})
