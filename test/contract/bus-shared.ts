/** What a bus between processes promises beyond bus.ts: several nodes on one Redis, and what they leave behind in it. */
import type { Test } from 'tap'
import { parseConnectionId, parseEventId } from '../../src/protocol/ids.ts'
import type { RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'
import {
  event,
  fence,
  follow,
  newPrefix,
  type OpenBus,
  openNode,
  placeOf,
  PREFIX,
  say,
  sayAll,
  thread,
  threads,
  valid,
} from './node.ts'

const DAY = 86_400
const TOPIC = thread('42')
const ID = valid(parseEventId('order-1'))

export async function sharedBusContract(t: Test, open: OpenBus, servers: readonly RedisServer[]): Promise<void> {
  await t.test('what one node publishes another delivers, the same bytes in both', async t => {
    const [a, b] = await pair(t, open)
    const heads = await Promise.all([follow(a.bus, TOPIC), follow(b.bus, TOPIC)])
    t.equal(heads[0], heads[1], 'both read the same head')
    const except = valid(parseConnectionId('c1'))
    const { stamp } = await say(a.bus, TOPIC, { frame: event('"grüß dich"'), except })
    const [atA, atB] = await Promise.all([a.ear.hears(TOPIC, stamp), b.ear.hears(TOPIC, stamp)])
    t.ok(atA.frame.equals(atB.frame))
    t.equal(atB.except, except)
    t.equal(await follow(b.bus, TOPIC), stamp)
  })

  await t.test('100 publishers on two nodes make one chain, in one order, the same on both', async t => {
    const [a, b] = await pair(t, open)
    const head = await follow(a.bus, TOPIC)
    await follow(b.bus, TOPIC)
    const publisher = async (i: number): Promise<number[]> => {
      const { bus } = i % 2 === 0 ? a : b
      const stamps: number[] = []
      for (let n = 0; n < 5; n++) stamps.push((await say(bus, TOPIC, { frame: event(`"${i}.${n}"`) })).stamp)
      return stamps
    }
    const stamps = (await Promise.all(Array.from({ length: 100 }, (_, i) => publisher(i)))).flat()
    await Promise.all([fence(a), fence(b)])
    const [atA, atB] = [a.ear.of(TOPIC), b.ear.of(TOPIC)]
    t.equal(atA.length, 500)
    t.same(
      atA.map(({ stamp }) => stamp),
      stamps.toSorted((x, y) => x - y),
      'in the order of their stamps',
    )
    t.equal(new Set(stamps).size, 500, 'no two of which are equal')
    t.same(
      atA.map(delivery => placeOf(delivery).prev),
      [head, ...atA.slice(0, -1).map(({ stamp }) => stamp)].map(String),
      'each names the one before',
    )
    t.ok(
      Buffer.concat(atA.map(({ frame }) => frame)).equals(Buffer.concat(atB.map(({ frame }) => frame))),
      'both nodes saw the same',
    )
  })

  await t.test('a repeat is known to every node', async t => {
    const [a, b] = await pair(t, open)
    await follow(b.bus, TOPIC)
    const { stamp } = await say(a.bus, TOPIC, { id: ID })
    t.same(await say(b.bus, TOPIC, { id: ID }), { stamp, duplicate: true })
    await fence(b)
    t.equal(b.ear.of(TOPIC).length, 1)
  })

  await t.test('all nodes live in the same era', async t => {
    const [a, b] = await pair(t, open)
    const topics = threads(300)
    t.same(await a.bus.subscribe(topics), await b.bus.subscribe(topics))
    t.same(
      topics.map(topic => a.bus.eraStart(topic)),
      topics.map(topic => b.bus.eraStart(topic)),
    )
  })

  await t.test('a node that has closed leaves the others as they are', async t => {
    const prefix = newPrefix()
    const staying = await openNode(t, open, prefix)
    await follow(staying.bus, TOPIC)
    const leaving = await open(prefix)
    await until(() => leaving.up, { what: 'the second node to be up' })
    await leaving.subscribe([TOPIC])
    await leaving.close()
    const { stamp } = await say(staying.bus, TOPIC)
    await staying.ear.hears(TOPIC, stamp)
    t.same(
      staying.ear.changes.filter(up => !up),
      [],
      'it never was down',
    )
  })

  await t.test('every key has an end, every name begins with the prefix, and nothing holds the content', async t => {
    const prefix = newPrefix()
    const node = await openNode(t, open, prefix)
    const marker = `secret-${'marker-'.repeat(8)}`
    const frame = event(`{"text":"${marker}","${marker}":1}`)
    await node.bus.subscribe(threads(50))
    await sayAll(node.bus, threads(50), { frame })
    await sayAll(node.bus, threads(50), { frame, id: ID })
    await sayAll(node.bus, threads(50), { frame, ephemeral: true, id: valid(parseEventId('order-2')) })
    await sayAll(node.bus, threads(50), { frame, id: ID, except: valid(parseConnectionId('c1')) })
    await fence(node)
    t.ok(
      node.ear.heard.some(delivery => delivery.frame.includes(marker)),
      'it was delivered',
    )

    const entries = (await Promise.all(servers.map(server => server.entries()))).flat()
    t.ok(entries.filter(({ key }) => key.startsWith(`${prefix}:`)).length > 100, 'there is something to look at')
    t.same(
      entries.filter(({ ttl }) => ttl <= 0).map(({ key }) => key),
      [],
      'keys without an end',
    )
    t.same(
      entries.filter(({ key }) => !key.startsWith(PREFIX)).map(({ key }) => key),
      [],
      'keys of nobody',
    )
    t.same(
      entries.filter(({ key, value }) => key.includes('secret-') || value.includes('secret-')).map(({ key }) => key),
      [],
      'keys that tell',
    )

    const mine = entries.filter(({ key }) => key.startsWith(`${prefix}:`) && key.includes('acme/'))
    const outside = (from: number, to: number, isId: boolean): string[] =>
      mine.filter(({ key, ttl }) => key.includes('order-') === isId && (ttl < from || ttl > to)).map(({ key }) => key)
    t.same(outside(240, 300, true), [], 'an id is remembered for 5 minutes')
    t.same(outside(6 * DAY, 7 * DAY, false), [], 'a head for 7 days')

    for (const server of servers) {
      const channels = `${await server.cli('PUBSUB', 'CHANNELS')}\n${await server.cli('PUBSUB', 'SHARDCHANNELS')}`
      // Sentinel speaks on a channel of its own.
      const foreign = channels
        .split('\n')
        .filter(name => name !== '' && !name.startsWith(PREFIX) && name !== '__sentinel__:hello')
      t.same(foreign, [], 'channels of nobody')
      t.notMatch(await server.cli('SLOWLOG', 'GET', -1), /secret-/, 'the slow log does not tell either')
    }
  })
}

async function pair(t: Test, open: OpenBus) {
  const prefix = newPrefix()
  return [await openNode(t, open, prefix), await openNode(t, open, prefix)] as const
}
