import t from 'tap'
import { RedisShare } from '../../src/limits/share.ts'
import type { LimitedSite } from '../../src/limits/usage.ts'
import { siteTopic } from '../../src/protocol/topic.ts'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { type LimitedNode, openLimits, refusal, site, user } from './node.ts'

const redis = await startRedis(t)
const NOBODY = { connections: 0, published: 0, delivered: 0, users: [] }

async function openShare(): Promise<RedisShare> {
  const link = openRedis({ kind: 'single', url: redis.url })
  t.teardown(() => link.close())
  link.listen({ connected: () => {}, message: () => {}, interrupted: () => {} })
  await until(() => link.ready, { what: 'a connection to Redis' })
  return new RedisShare(link, new Keys('tl'))
}

const [one, two] = [await openShare(), await openShare()]
const keys = async (): Promise<string[]> => (await redis.cli('KEYS', '*')).split('\n').filter(key => key !== '')

await t.test('a node is told what the others told, and not what it told itself', async t => {
  const { id } = site({}, 'told')
  const usage = { connections: 5, published: 6, delivered: 7, users: [[user('a:b'), 3] as const] }
  t.strictSame(await one.exchange(id, usage), new Map())
  t.strictSame([...(await two.exchange(id, NOBODY)).values()], [usage])
  t.strictSame([...(await one.exchange(id, usage)).values()], [NOBODY])
})

await t.test('what a node told has an end, and so has the key', async t => {
  const { id } = site({}, 'dead')
  await one.exchange(id, { ...NOBODY, connections: 5 })
  const key = new Keys('tl').usage(siteTopic(id))
  t.match(await redis.cli('PTTL', key), /^\d{4,5}$/)
  // As if it had been told six seconds ago.
  const [node = '', told = ''] = (await redis.cli('HGETALL', key)).split('\n')
  const [at, ...usage] = told.split(' ')
  await redis.cli('HSET', key, node, `${Number(at) - 6000} ${usage.join(' ')}`)
  t.strictSame(await two.exchange(id, NOBODY), new Map())
  t.equal(await redis.cli('HLEN', key), '1')
})

/** Whether a connection would be let in. */
function fits({ limits }: LimitedNode, site: LimitedSite, id: string): boolean {
  if (refusal(() => limits.connect(site, user(id))) !== undefined) return false
  limits.disconnect(site.id, user(id))
  return true
}

await t.test('two nodes: what one uses, the other counts', async t => {
  const nodes = [openLimits(t, one), openLimits(t, two)] as const
  const [a, b] = nodes

  await t.test('connections of a site', async t => {
    const acme = site({ connections: 20 }, 'connections')
    for (let i = 0; i < 18; i++) a.limits.connect(acme, user(`${i}`))
    // Two are more than a sixteenth, so it asks.
    for (const id of ['x', 'y']) b.limits.connect(acme, user(id))
    await until(() => !fits(b, acme, 'z'), { what: 'the site to be full' })
    t.equal(b.refused.at(-1), 'connections')
    for (let i = 0; i < 18; i++) a.limits.disconnect(acme.id, user(`${i}`))
    await until(() => fits(b, acme, 'z'), { what: 'room' })
  })

  await t.test('connections of a user', async t => {
    const acme = site({ connectionsPerUser: 4 }, 'users')
    for (const { limits } of nodes) for (let i = 0; i < 2; i++) limits.connect(acme, user('1'))
    await until(() => !fits(b, acme, '1'), { what: 'the user to have all' })
    t.equal(b.refused.at(-1), 'user_connections')
    t.ok(fits(b, acme, '2'))
  })

  await t.test('publishes', async t => {
    const acme = site({ publishesPerSecond: 10 }, 'publishes')
    const publish = ({ limits }: LimitedNode): boolean => refusal(() => limits.publish(acme)) === undefined
    await until(
      () => {
        // One publishes as much as the site may, the other would like a tenth of that.
        for (const { clock } of nodes) clock.ms += 1000
        while (publish(a));
        return !publish(b)
      },
      { what: 'a refusal on the other node' },
    )
    t.equal(b.refused.at(-1), 'publishes')
  })

  await t.test('deliveries: refused where the publishes are, counted where the sockets are', async t => {
    const acme = site({ deliveriesPerSecond: 100 }, 'deliveries')
    b.limits.connect(acme, user('1'))
    await until(
      () => {
        b.limits.delivered(siteTopic(acme.id), 50)
        return refusal(() => a.limits.publish(acme))
      },
      { what: 'a refusal where no socket is' },
    )
    t.equal(a.refused.at(-1), 'deliveries')
  })
})

await t.test('a site that uses little of its limits costs no command', async t => {
  const { limits } = openLimits(t, one)
  const acme = site({ connections: 1000, publishesPerSecond: 1000 }, 'small')
  limits.connect(acme, user('1'))
  limits.publish(acme)
  // It has been looked at when another site that came later has told.
  const busy = site({ connections: 2 }, 'busy')
  limits.connect(busy, user('1'))
  await until(async () => (await keys()).some(key => key.includes('busy')), { what: 'the other site' })
  t.notOk((await keys()).some(key => key.includes('small')))
})

await t.test('without Redis each node goes on with its own numbers', async t => {
  const [a, b] = [openLimits(t, one), openLimits(t, two)]
  const acme = site({ connections: 10 }, 'outage')
  for (let i = 0; i < 8; i++) a.limits.connect(acme, user(`${i}`))
  for (let i = 0; i < 2; i++) b.limits.connect(acme, user(`${i}`))
  await until(() => !fits(b, acme, 'z'), { what: 'the site to be full' })
  await redis.kill()
  await until(() => fits(b, acme, 'z'), { what: 'own numbers only' })
  t.equal(b.refused.at(-1), 'connections')
})
