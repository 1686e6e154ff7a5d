import { t, type Test } from 'tap'
import { openRedisBus } from '../../src/bus/redis.ts'
import { RedisPresence } from '../../src/presence/redis.ts'
import type { Change } from '../../src/presence/store.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import { entry, place, presenceStoreContract, type PresenceNode, see, who } from '../contract/presence-store.ts'
import { newPrefix } from '../contract/node.ts'
import type { RedisAddress } from '../../src/redis/address.ts'
import { startCluster, startRedis, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { log, metrics } from '../bus/open.ts'

t.setTimeout(300_000)

/** A node whose death can be played: `stop` ends its connections without a word. */
interface RedisNode extends PresenceNode {
  stop(): void
}

async function openNode(t: Test, redis: RedisServer | RedisAddress, prefix: string): Promise<RedisNode> {
  const link = openRedis('kind' in redis ? redis : { kind: 'single', url: redis.url })
  const keys = new Keys(prefix)
  const bus = await openRedisBus({ link, keys, log, metrics })
  const store = new RedisPresence({ link, keys, bus, log })
  const changes: [Topic, Change][] = []
  const crossings: [string, number][] = []
  const losses: ((topic: Topic) => boolean)[] = []
  store.listen({
    changed: (topic, change) => changes.push([topic, change]),
    lost: concerns => losses.push(concerns),
    crossed: (topic, occupied, version) => crossings.push([`${occupied ? '+' : '-'}${topic}`, version]),
  })
  await until(() => bus.up, { what: 'the bus' })
  t.teardown(async () => {
    await store.close()
    await bus.close()
    link.close()
  })
  const follow = async (topics: readonly Topic[]): Promise<void> => void (await bus.subscribe(topics))
  return { store, changes, crossings, losses, follow, stop: () => link.close() }
}

await t.test('the presence store keeps the contract on Redis', async t => {
  const redis = await startRedis(t)
  await presenceStoreContract(t, t => openNode(t, redis, newPrefix()))
})

await t.test('changes are chained: prev is the version before', async t => {
  const { store, changes, follow } = await openNode(t, await startRedis(t), newPrefix())
  await follow([place('c')])
  for (let i = 0; i < 20; i++) await store.set([entry(place('c'), i % 3, (i % 4) + 1)])
  const { version } = await see(store, place('c'))
  await until(() => changes.at(-1)?.[1].version === version, { what: 'the last change' })
  let last = 0
  for (const [, change] of changes) {
    t.equal(change.prev, last)
    t.ok(change.version > last)
    last = change.version
  }
})

await t.test('the presence store keeps the contract on a cluster of three masters', async t => {
  const { address } = await startCluster(t)
  await presenceStoreContract(t, t => openNode(t, address, newPrefix()))
})
await t.test(
  'when an answer did not come, it is told with the next where the first user came or the last went',
  async t => {
    const redis = await startRedis(t)
    const { store, crossings } = await openNode(t, redis, newPrefix())
    await store.set([entry(place('a'), 7, 1)])
    redis.pause()
    const unsure = [entry(place('a'), 7, 0), entry(place('b'), 7, 1)]
    await t.rejects(store.set(unsure), { message: 'Command timed out' })
    redis.resume()
    await until(
      () =>
        store.set(unsure).then(
          () => true,
          () => false,
        ),
      { what: 'Redis' },
    )
    t.same(
      crossings.map(([what]) => what),
      [`+${place('a')}`, `-${place('a')}`, `+${place('b')}`],
    )
  },
)

await t.test('a user on two nodes is there once, with the connections of both, until the last has gone', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const [one, two] = [await openNode(t, redis, prefix), await openNode(t, redis, prefix)]
  await one.follow([place('a')])
  await one.store.set([entry(place('a'), 7, 2)])
  await two.store.set([entry(place('a'), 7, 1)])
  t.same(await who(two.store, place('a')), { 7: 3 })
  await one.store.set([entry(place('a'), 7, 0)])
  t.same(await who(two.store, place('a')), { 7: 1 })
  await two.store.set([entry(place('a'), 7, 0)])
  await until(() => one.changes.length === 4, { what: 'all changes' })
  t.same(
    one.changes.map(([, { count, left }]) => `${count} ${left?.join()}`),
    ['1 ', '1 ', '1 ', '0 7'],
  )
})

await t.test('when a node dies the others take its users out, once, and only those', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const nodes = await Promise.all([1, 2, 3].map(() => openNode(t, redis, prefix)))
  const [dies, one, two] = nodes as [RedisNode, RedisNode, RedisNode]
  await one.follow([place('a'), place('b')])
  const many = Array.from({ length: 1200 }, (_, i) => entry(place(`t${i % 300}`), i, 1))
  await dies.store.set([entry(place('a'), 7, 1), entry(place('a'), 8, 1), entry(place('b'), 9, 1), ...many])
  await two.store.set([entry(place('a'), 8, 1)])
  // A lease, so that the others know of the node.
  await until(async () => (await redis.cli('ZCARD', (await redis.cli('KEYS', `${prefix}*living`)).trim())) === '3', {
    what: 'three leases',
  })
  dies.stop()
  await until(async () => (await who(one.store, place('b')))?.['9'] === undefined, { what: 'the end' })
  await until(async () => (await one.store.read(many.map(({ topic }) => topic))).every(({ count }) => count === 0), {
    what: 'the end of all the others',
  })
  t.same(await who(two.store, place('a')), { 8: 1 })
  await until(async () => (await redis.cli('ZCARD', `${prefix}:{000}:dead`).catch(() => '0')) === '0', {
    what: 'burial',
  })
  const left = one.changes.flatMap(([, { left }]) => left ?? [])
  t.same(left.toSorted(), ['7', '9'], 'nobody leaves twice')
  const emptied = [...one.crossings, ...two.crossings].map(([what]) => what).filter(what => what.startsWith('-'))
  t.equal(new Set(emptied).size, 301)
  t.equal(emptied.length, 301, 'told by one of those who live')
})

await t.test('a node that was taken for dead sets everything again, under another name', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const [one, two] = [await openNode(t, redis, prefix), await openNode(t, redis, prefix)]
  const setAll = async (): Promise<void> => {
    await one.store.set([entry(place('a'), 7, 1)])
    await two.store.set([entry(place('a'), 8, 1)])
  }
  await setAll()
  const living = await until(
    async () => {
      const key = await redis.cli('KEYS', `${prefix}*living`)
      return key !== '' && (await redis.cli('ZCARD', key)) === '2' ? key : undefined
    },
    { what: 'two leases' },
  )
  const losses = (): number => one.losses.length + two.losses.length
  const before = losses()
  for (const name of (await redis.cli('ZRANGE', living, 0, -1)).split('\n')) await redis.cli('ZADD', living, 1, name)
  // Whoever renews first lives on, and counts the other as dead.
  await until(() => losses() > before, { what: 'one of them to be told' })
  await setAll()
  await until(async () => (await redis.cli('EXISTS', living.replace('living', 'dead'))) === '0', { what: 'the burial' })
  await until(async () => (await redis.cli('ZCARD', living)) === '2', { what: 'two leases again' })
  t.same(await who(two.store, place('a')), { 7: 1, 8: 1 })
})

await t.test('when Redis is emptied, or comes back older, what was counts no more, and all is set again', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const [one, two] = [await openNode(t, redis, prefix), await openNode(t, redis, prefix)]
  await one.store.set([entry(place('a'), 7, 1), entry(place('b'), 8, 1)])
  await redis.cli('SAVE')
  await one.store.set([entry(place('b'), 8, 0)])
  const before = two.losses.length
  await redis.restart()
  await until(() => two.losses.length > before, { what: 'the loss to be told' })
  await until(async () => (await two.store.read([place('b')]).catch(() => undefined))?.[0]?.count === 0, {
    what: 'nobody to be there',
  })
  await until(
    () =>
      one.store.set([entry(place('a'), 7, 1)]).then(
        () => true,
        () => false,
      ),
    { what: 'setting again' },
  )
  t.same(await who(two.store, place('a')), { 7: 1 })
  t.same(await who(two.store, place('b')), {})
})

await t.test('every key has an end', async t => {
  const redis = await startRedis(t)
  const node = await openNode(t, redis, newPrefix())
  await node.store.set([entry(place('a'), 7, 1, '1'), entry(place('b'), 8, 1)])
  await node.store.set([entry(place('b'), 8, 0)])
  t.same(
    (await redis.entries()).filter(({ ttl }) => ttl < 0).map(({ key }) => key),
    [],
  )
})
