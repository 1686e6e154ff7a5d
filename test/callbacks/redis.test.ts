import { t, type Test } from 'tap'
import { LEASE, type CallbackQueue } from '../../src/callbacks/queue.ts'
import { Keys } from '../../src/redis/keys.ts'
import { ACME, callbackQueueContract, GLOBEX, fact, idsIn, state, take } from '../contract/callback-queue.ts'
import { newPrefix } from '../contract/node.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openQueue } from './open.ts'

t.setTimeout(300_000)

const open = (t: Test, { url }: RedisServer, prefix: string): Promise<CallbackQueue> =>
  openQueue(t, { kind: 'single', url }, prefix)

const redis = await startRedis(t)

await t.test('the queue keeps the contract on Redis', async t => {
  await callbackQueueContract(t, t => open(t, redis, newPrefix()))
  const endless = (await redis.entries()).filter(({ ttl }) => ttl < 0)
  t.same(
    endless.map(({ key }) => key),
    [],
    'every key has an end',
  )
})

await t.test(
  'a site of a node that died is due again after the lease, with the same id; a lease may be renewed',
  async t => {
    const prefix = newPrefix()
    const [one, two] = [await open(t, redis, prefix), await open(t, redis, prefix)]
    await one.add(ACME, 'c', [fact('a')])
    const first = await take(one)
    const start = performance.now()
    await until(() => performance.now() - start > LEASE / 2, { what: 'half a lease' })
    await one.renew(new Map([[ACME, first]]))
    await until(async () => (await two.due()).includes(ACME), { what: 'the end of the lease' })
    t.ok(performance.now() - start > LEASE * 1.4, 'it was renewed')
    const again = await take(two)
    t.same([again.id, again.body], [first.id, first.body])
    t.same(await one.done(ACME, 'c', first, { kind: 'ok' }), { waitMs: undefined, dropped: 0 })
    t.equal((await two.status(ACME)).state, 'delivering', 'the first has nothing to say any more')
  },
)

await t.test('what has waited for a day is dropped, in a pause too', async t => {
  const prefix = newPrefix()
  const queue = await open(t, redis, prefix)
  const keys = (await redis.cli('KEYS', `${prefix}:*`)).trim()
  t.equal(keys, '')
  const yesterday = Date.now() - 86_400_000 - 1000
  const [stream] = new Keys(prefix).callbacks(`acme/site` as never)
  await redis.cli('XADD', stream!, `${yesterday}-0`, 'f', '{"id":"a"}', 's', '')
  await queue.pause(ACME)
  t.equal((await queue.add(ACME, 'c', [fact('b')])).dropped, 1)
  await queue.resume(ACME)
  t.same(idsIn(await take(queue)), ['b'])
})

await t.test('a pause outlives the node, and lasts for as long as any node looks', async t => {
  const prefix = newPrefix()
  const [one, two] = [await open(t, redis, prefix), await open(t, redis, prefix)]
  await one.add(ACME, 'c', [fact('a')])
  await take(one)
  await one.pause(ACME)
  const left = async (): Promise<number> => {
    const entries = await redis.entries()
    return entries.find(({ key }) => key.startsWith(`${prefix}:`) && key.endsWith(':paused'))!.ttl
  }
  t.ok((await left()) > 29 * 86_400)
  const key = (await redis.cli('KEYS', `${prefix}:*:paused`)).trim()
  await redis.cli('EXPIRE', key, 100)
  t.same(await two.due(), [])
  t.ok((await left()) > 29 * 86_400, 'it is renewed')
  t.equal((await two.status(ACME)).state, 'paused')
  await two.resume(ACME)
  t.equal((await two.status(ACME)).state, 'delivering')
})

await t.test('every key has an end', async t => {
  const prefix = newPrefix()
  const queue = await open(t, redis, prefix)
  await queue.add(ACME, 'c', [fact('a'), state('b', '7', true)])
  const batch = await take(queue)
  const ends = async (): Promise<number[]> => {
    const entries = await redis.entries()
    return entries.filter(({ key }) => key.startsWith(`${prefix}:`)).map(({ ttl }) => ttl)
  }
  await queue.pause(GLOBEX)
  t.equal((await ends()).length, 6)
  t.ok((await ends()).every(ttl => ttl > 0))
  await queue.done(ACME, 'c', batch, { kind: 'gone', error: 'it said 410' })
  t.ok((await ends()).every(ttl => ttl > 0))
})
