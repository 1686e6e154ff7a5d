/**
 * What every Bus promises (src/bus/bus.ts), run by test/bus/*.test.ts against each of them. What only a bus between
 * processes can keep or break is in bus-shared.ts.
 */
import type { Test } from 'tap'
import { parseConnectionId, parseEventId } from '../../src/protocol/ids.ts'
import { siteTopic, userTopic } from '../../src/protocol/topic.ts'
import { parseSiteId, parseUserId } from '../../src/protocol/ids.ts'
import { until } from '../support/until.ts'
import {
  event,
  fence,
  follow,
  followAll,
  newPrefix,
  type OpenBus,
  openNode,
  placeOf,
  readHeads,
  say,
  sayAll,
  spliced,
  thread,
  threads,
  valid,
} from './node.ts'

const TOPIC = thread('42')
const ID = valid(parseEventId('order-1'))

const DATA: Record<string, Buffer> = {
  'plain JSON': Buffer.from('{"text":"hello"}'),
  'text beyond ASCII': Buffer.from('"grüß dich, 世界 🚀"'),
  'quotes and backslashes': Buffer.from(String.raw`"\"quoted\" \\ \u0000"`),
  'what looks like a place': Buffer.from('{"stamp":1,"prev":2,"own":true}'),
  'what a pattern or a format would replace': Buffer.from('"%s %1 %d %% $1 $& {0}"'),
  'every byte': Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  'line breaks of the Redis protocol': Buffer.from('$5\r\nhello\r\n*0\r\n'),
  '64 KiB': Buffer.alloc(65_536, '"abcdefghijklmnopqrstuvwxyz"'),
  nothing: Buffer.alloc(0),
}

export async function busContract(t: Test, open: OpenBus): Promise<void> {
  await t.test('an event published after subscribe has resolved is delivered byte for byte', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    let prev = await follow(bus, TOPIC)
    for (const [what, data] of Object.entries(DATA)) {
      const frame = event(data)
      const { stamp } = await say(bus, TOPIC, { frame })
      const delivery = await ear.hears(TOPIC, stamp)
      t.ok(delivery.frame.equals(spliced(frame, stamp, prev)), what)
      prev = stamp
    }
    t.equal(ear.of(TOPIC).length, Object.keys(DATA).length, 'each once')
  })

  await t.test('the bytes that were delivered do not change afterwards', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    const head = await follow(bus, TOPIC)
    const frame = event('"the first"')
    const { stamp } = await say(bus, TOPIC, { frame })
    const first = await ear.hears(TOPIC, stamp)
    for (let i = 0; i < 100; i++) await say(bus, TOPIC, { frame: event(`"${'later '.repeat(i)}"`) })
    await fence({ bus, ear })
    t.ok(first.frame.equals(spliced(frame, stamp, head)))
  })

  await t.test('a new chain begins at the start of its era', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    const head = await follow(bus, TOPIC)
    t.equal(head, bus.eraStart(TOPIC), 'its head')
    t.ok(Number.isSafeInteger(head) && head > 0, `an integer: ${head}`)
    const { stamp } = await say(bus, TOPIC)
    t.equal(placeOf(await ear.hears(TOPIC, stamp)).prev, String(head), 'and the prev of its first event')
  })

  await t.test('stamps are the time in microseconds, written as plain integers', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    await follow(bus, TOPIC)
    const { stamp } = await say(bus, TOPIC)
    const place = placeOf(await ear.hears(TOPIC, stamp))
    t.match(place.stamp, /^\d{16}$/)
    t.match(place.prev, /^\d{16}$/)
    t.equal(place.stamp, String(stamp), 'the stamp in the frame is the one that was answered')
    t.ok(Math.abs(stamp / 1000 - Date.now()) < 10_000, 'within 10 s of now')
  })

  await t.test('in one chain stamps strictly grow and each event names the one before', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    let prev = await follow(bus, TOPIC)
    const placed = await Promise.all(Array.from({ length: 200 }, () => say(bus, TOPIC)))
    await fence({ bus, ear })
    const heard = ear.of(TOPIC)
    t.same(new Set(heard.map(({ stamp }) => stamp)), new Set(placed.map(({ stamp }) => stamp)), 'all are there')
    for (const delivery of heard) {
      if (delivery.stamp <= prev) t.fail(`${delivery.stamp} is not after ${prev}`)
      if (placeOf(delivery).prev !== String(prev)) t.fail(`${placeOf(delivery).prev} is not ${prev}`)
      prev = delivery.stamp
    }
    t.equal(await follow(bus, TOPIC), prev, 'the head is the stamp of the last')
  })

  await t.test(
    'the heads that subscribe returns are the stamps of the last events, in the order of the topics',
    async t => {
      const { bus } = await openNode(t, open, newPrefix())
      const topics = threads(50)
      const stamps: number[] = []
      for (const topic of topics) stamps.push((await say(bus, topic)).stamp)
      t.same(await followAll(bus, topics), stamps)
      t.same(await followAll(bus, topics.toReversed()), stamps.toReversed())
    },
  )

  await t.test('heads can be read without listening', async t => {
    const node = await openNode(t, open, newPrefix())
    const topics = threads(50)
    const fresh = await readHeads(node.bus, topics)
    t.same(
      fresh,
      topics.map(topic => node.bus.eraStart(topic)),
      'of new chains: the start of their eras',
    )
    const placed = await sayAll(node.bus, topics)
    await fence(node)
    t.same(
      await readHeads(node.bus, topics),
      placed.map(({ stamp }) => stamp),
    )
    t.equal(node.ear.of(valid(topics[0])).length, 0)
  })

  await t.test('nothing is missed between the head that subscribe returns and the first event delivered', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    for (let round = 0; round < 20; round++) {
      const topic = thread(`round-${round}`)
      const publishing: Promise<number>[] = []
      const publish = async (): Promise<number> => (await say(bus, topic)).stamp
      for (let i = 0; i < 10; i++) publishing.push(publish())
      const following = follow(bus, topic)
      for (let i = 0; i < 20; i++) {
        publishing.push(publish())
        if (i % 5 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      const head = await following
      const later = (await Promise.all(publishing)).filter(stamp => stamp > head)
      await fence({ bus, ear })
      const heard = new Set(ear.of(topic).map(({ stamp }) => stamp))
      const missed = later.filter(stamp => !heard.has(stamp))
      if (missed.length > 0) t.fail(`after head ${head} of ${topic} these were missed: ${missed.join(', ')}`)
    }
    t.pass('20 rounds')
  })

  await t.test('topics with similar names and topics of other sites hear nothing', async t => {
    const node = await openNode(t, open, newPrefix())
    const { bus, ear } = node
    const acme = valid(parseSiteId('acme'))
    const four = valid(parseUserId('4'))
    const others = [
      thread('42'),
      thread('4.'),
      thread('4', 'acme2'),
      thread('4', 'a'),
      userTopic(acme, four),
      siteTopic(acme),
    ]
    const heads = await bus.subscribe(others)
    await follow(bus, thread('4'))
    const { stamp } = await say(bus, thread('4'))
    await ear.hears(thread('4'), stamp)
    await fence(node)
    for (const topic of others) t.equal(ear.of(topic).length, 0, topic)
    t.same(await bus.subscribe(others), heads, 'their heads stand where they stood')
  })

  await t.test('a topic that nobody subscribed to is stamped and not delivered', async t => {
    const node = await openNode(t, open, newPrefix())
    const { stamp } = await say(node.bus, TOPIC)
    await fence(node)
    t.equal(node.ear.of(TOPIC).length, 0)
    t.equal(await follow(node.bus, TOPIC), stamp)
  })

  await t.test('nothing crosses from one prefix to another', async t => {
    const prefix = newPrefix()
    const one = await openNode(t, open, prefix)
    // One that begins like the first.
    const other = await openNode(t, open, `${prefix}x`)
    await follow(one.bus, TOPIC)
    const head = await follow(other.bus, TOPIC)
    const { stamp } = await say(one.bus, TOPIC, { id: ID })
    await one.ear.hears(TOPIC, stamp)
    await fence(other)
    t.equal(other.ear.of(TOPIC).length, 0, 'no event')
    t.equal(await follow(other.bus, TOPIC), head, 'no head')
    t.equal((await say(other.bus, TOPIC, { id: ID })).duplicate, false, 'no id')
  })

  await t.test('one who has unsubscribed is soon told nothing more', async t => {
    const node = await openNode(t, open, newPrefix())
    const { bus, ear } = node
    await follow(bus, TOPIC)
    await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
    bus.unsubscribe([TOPIC])
    const isDeaf = async (): Promise<boolean> => {
      const { stamp } = await say(bus, TOPIC)
      await fence(node)
      return ear.of(TOPIC).every(delivery => delivery.stamp !== stamp)
    }
    await until(isDeaf, { what: 'an unsubscribed topic to become silent' })
    t.ok(await isDeaf(), 'and it stays so')
  })

  await t.test('one who comes back hears again at once', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    await follow(bus, TOPIC)
    const { stamp } = await say(bus, TOPIC)
    bus.unsubscribe([TOPIC])
    t.equal(await follow(bus, TOPIC), stamp, 'with the head of now')
    await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)

    // The last word counts, also when it is said before the others were answered.
    const said = [bus.subscribe([TOPIC])]
    bus.unsubscribe([TOPIC])
    said.push(bus.subscribe([TOPIC]))
    await Promise.all(said)
    await ear.hears(TOPIC, (await say(bus, TOPIC)).stamp)
  })

  await t.test('subscribing twice is harmless', async t => {
    const node = await openNode(t, open, newPrefix())
    const heads = await Promise.all([follow(node.bus, TOPIC), follow(node.bus, TOPIC)])
    t.equal(heads[0], heads[1])
    await follow(node.bus, TOPIC)
    const { stamp } = await say(node.bus, TOPIC)
    await fence(node)
    t.same(
      node.ear.of(TOPIC).map(delivery => delivery.stamp),
      [stamp],
      'an event comes once',
    )
    node.bus.unsubscribe([TOPIC])
    node.bus.unsubscribe([TOPIC, thread('never-subscribed')])
    t.equal(await follow(node.bus, TOPIC), stamp)
    await node.ear.hears(TOPIC, (await say(node.bus, TOPIC)).stamp)
  })

  await t.test('a repeat with the same id is answered with the first stamp and not delivered again', async t => {
    const node = await openNode(t, open, newPrefix())
    await follow(node.bus, TOPIC)
    const first = await say(node.bus, TOPIC, { id: ID })
    t.same(first, { stamp: first.stamp, duplicate: false })
    const between = await say(node.bus, TOPIC)
    const repeats = await Promise.all([say(node.bus, TOPIC, { id: ID }), say(node.bus, TOPIC, { id: ID })])
    t.same(repeats, [
      { stamp: first.stamp, duplicate: true },
      { stamp: first.stamp, duplicate: true },
    ])
    await fence(node)
    t.same(
      node.ear.of(TOPIC).map(delivery => delivery.stamp),
      [first.stamp, between.stamp],
    )
    t.equal(await follow(node.bus, TOPIC), between.stamp, 'the head stays')
  })

  await t.test('of two publications with one id at the same moment one is published', async t => {
    const node = await openNode(t, open, newPrefix())
    await follow(node.bus, TOPIC)
    const placed = await Promise.all(Array.from({ length: 10 }, () => say(node.bus, TOPIC, { id: ID })))
    await fence(node)
    t.equal(placed.filter(({ duplicate }) => !duplicate).length, 1)
    t.equal(new Set(placed.map(({ stamp }) => stamp)).size, 1)
    t.equal(node.ear.of(TOPIC).length, 1)
  })

  await t.test('an id counts in its own chain only', async t => {
    const node = await openNode(t, open, newPrefix())
    const topics = [TOPIC, thread('43'), thread('42', 'globex'), siteTopic(valid(parseSiteId('acme')))]
    await node.bus.subscribe(topics)
    for (const topic of topics) t.equal((await say(node.bus, topic, { id: ID })).duplicate, false, topic)
    await fence(node)
    for (const topic of topics) t.equal(node.ear.of(topic).length, 1, topic)
  })

  await t.test('a partial repeat publishes only in the chains that did not know the id', async t => {
    const node = await openNode(t, open, newPrefix())
    const topics = threads(4)
    await node.bus.subscribe(topics)
    const known = topics.filter((_, i) => i % 2 === 1)
    const first = await sayAll(node.bus, known, { id: ID })
    const placed = await sayAll(node.bus, topics, { id: ID })
    t.same(
      placed.map(({ duplicate }) => duplicate),
      [false, true, false, true],
    )
    t.same(
      [placed[1]?.stamp, placed[3]?.stamp],
      first.map(({ stamp }) => stamp),
    )
    await fence(node)
    for (const [i, topic] of topics.entries()) {
      t.same(
        node.ear.of(topic).map(({ stamp }) => stamp),
        [placed[i]?.stamp],
        `${topic} heard it once`,
      )
    }
    const again = await sayAll(node.bus, topics, { id: ID })
    t.same(
      again,
      placed.map(({ stamp }) => ({ stamp, duplicate: true })),
      'then all know it',
    )
  })

  await t.test('one publication goes to 1,000 topics, and its answers stand in their order', async t => {
    const node = await openNode(t, open, newPrefix())
    const topics = threads(1000)
    const heads = await followAll(node.bus, topics)
    // These know the id already, each with a stamp of its own, so that an answer in the wrong place shows.
    const known = new Map<number, number>()
    for (const i of [0, 1, 17, 333, 500, 998]) {
      known.set(i, (await say(node.bus, valid(topics[i]), { id: ID })).stamp)
    }
    const frame = event('"to all"')
    const placed = await sayAll(node.bus, topics, { frame, id: ID })
    t.equal(placed.length, 1000)
    await fence(node)
    let wrong = 0
    for (const [i, topic] of topics.entries()) {
      const place = valid(placed[i])
      const [delivery, ...more] = node.ear.of(topic)
      const first = known.get(i)
      const asItShould =
        more.length === 0 &&
        delivery?.stamp === place.stamp &&
        (first === undefined
          ? !place.duplicate && delivery.frame.equals(spliced(frame, place.stamp, valid(heads[i])))
          : place.duplicate && place.stamp === first)
      if (!asItShould) wrong++
    }
    t.equal(wrong, 0, 'none was left out, none came twice, none got the answer of another')
    t.same(
      await followAll(node.bus, topics),
      placed.map(({ stamp }) => stamp),
      'each has its head',
    )
  })

  await t.test('an ephemeral event is delivered as it is and leaves no head', async t => {
    const node = await openNode(t, open, newPrefix())
    const { bus, ear } = node
    const head = await follow(bus, TOPIC)
    const frame = { before: '{"op":"event"', after: ',"type":"typing","data":', data: Buffer.from('"é"') }
    t.same(await say(bus, TOPIC, { frame, ephemeral: true }), { stamp: 0, duplicate: false })
    const delivery = await ear.hears(TOPIC, 0)
    t.equal(delivery.frame.toString(), '{"op":"event","type":"typing","data":"é"}')
    t.equal(await follow(bus, TOPIC), head, 'the head stays')
    const { stamp } = await say(bus, TOPIC)
    t.equal(placeOf(await ear.hears(TOPIC, stamp)).prev, String(head), 'the chain does not know of it')
  })

  await t.test('an ephemeral event with an id is delivered once', async t => {
    const node = await openNode(t, open, newPrefix())
    await follow(node.bus, TOPIC)
    t.same(await say(node.bus, TOPIC, { ephemeral: true, id: ID }), { stamp: 0, duplicate: false })
    t.same(await say(node.bus, TOPIC, { ephemeral: true, id: ID }), { stamp: 0, duplicate: true })
    await fence(node)
    t.equal(node.ear.of(TOPIC).length, 1)
  })

  await t.test('the connection that an event leaves out is named to the listener', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    await follow(bus, TOPIC)
    const except = valid(parseConnectionId('c1.node-a:7'))
    const { stamp } = await say(bus, TOPIC, { except })
    t.equal((await ear.hears(TOPIC, stamp)).except, except)
    await say(bus, TOPIC, { except, ephemeral: true })
    t.equal((await ear.hears(TOPIC, 0)).except, except, 'also with an ephemeral event')
    const { stamp: next } = await say(bus, TOPIC)
    t.equal((await ear.hears(TOPIC, next)).except, undefined, 'and not with the next')
  })
}
