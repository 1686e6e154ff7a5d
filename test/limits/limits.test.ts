import t from 'tap'
import { siteTopic } from '../../src/protocol/topic.ts'
import { until } from '../support/until.ts'
import { openLimits, refusal, site, user } from './node.ts'

await t.test('connections of a site: as many as it may have, and a place for each that leaves', async t => {
  const { limits, refused } = openLimits(t)
  const acme = site({ connections: 2 })
  limits.connect(acme, user('1'))
  limits.connect(acme, user('2'))
  const third = refusal(() => limits.connect(acme, user('3')))
  t.match(third, { code: 'connection_limit', message: /2 for the site/, retryAfter: 30 })
  t.equal(
    refusal(() => limits.connect(site({ connections: 1 }, 'beta'), user('3'))),
    undefined,
    'another site has its own',
  )
  limits.disconnect(acme.id, user('1'))
  limits.connect(acme, user('3'))
  t.ok(refusal(() => limits.connect(acme, user('1'))))
  t.strictSame(refused, ['connections', 'connections'])
})

await t.test('connections of a user', async t => {
  const { limits, refused } = openLimits(t)
  const acme = site({ connectionsPerUser: 2 })
  limits.connect(acme, user('1'))
  limits.connect(acme, user('1'))
  t.match(
    refusal(() => limits.connect(acme, user('1'))),
    { code: 'connection_limit', message: /2 for one user/ },
  )
  limits.connect(acme, user('2'))
  limits.disconnect(acme.id, user('1'))
  limits.connect(acme, user('1'))
  t.strictSame(refused, ['user_connections'])
})

await t.test('a limit that changes counts at once', async t => {
  const { limits } = openLimits(t)
  limits.connect(site({ connections: 1 }), user('1'))
  limits.connect(site({ connections: 2 }), user('1'))
  t.ok(refusal(() => limits.connect(site({ connections: 1 }), user('1'))))
})

await t.test('publishes: a second’s worth at once, then as they come back; a refused one costs nothing', async t => {
  const { limits, clock, refused } = openLimits(t)
  const acme = site({ publishesPerSecond: 2 })
  limits.publish(acme)
  limits.publish(acme)
  for (let i = 0; i < 5; i++) {
    t.match(
      refusal(() => limits.publish(acme)),
      { code: 'rate_limited', message: /2 publishes per second/, retryAfter: 1 },
    )
  }
  clock.ms += 500
  limits.publish(acme)
  t.ok(refusal(() => limits.publish(acme)))
  t.strictSame(
    refused,
    Array.from({ length: 6 }, () => 'publishes'),
  )
})

await t.test('a batch is let through whole, and the next call waits for all of it', async t => {
  const { limits, clock } = openLimits(t)
  const acme = site({ publishesPerSecond: 10 })
  limits.publish(acme)
  limits.publishMore(acme, 99)
  t.match(
    refusal(() => limits.publish(acme)),
    { retryAfter: 10 },
  )
  clock.ms += 9000
  t.match(
    refusal(() => limits.publish(acme)),
    { retryAfter: 1 },
  )
  clock.ms += 100
  limits.publish(acme)
})

await t.test('deliveries put their site into debt, and the next publish is refused', async t => {
  const { limits, clock, refused } = openLimits(t)
  const acme = site({ deliveriesPerSecond: 100 })
  limits.connect(acme, user('1'))
  limits.publish(acme)
  limits.delivered(siteTopic(acme.id), 300)
  t.match(
    refusal(() => limits.publish(acme)),
    { code: 'rate_limited', message: /100 deliveries per second/, retryAfter: 3 },
  )
  t.equal(
    refusal(() => limits.publish(site({ deliveriesPerSecond: 100 }, 'beta'))),
    undefined,
    'another site pays its own',
  )
  clock.ms += 2010
  limits.publish(acme)
  t.strictSame(refused, ['deliveries'])
})

await t.test('a site is forgotten when it has no connection and nothing to wait for', async t => {
  const { limits, clock } = openLimits(t)
  limits.publish(site({}, 'unlimited'))
  t.equal(limits.size, 0, 'one without limits is never kept')
  limits.publish(site({ publishesPerSecond: 1 }, 'publisher'))
  limits.connect(site({ deliveriesPerSecond: 1 }, 'reader'), user('1'))
  limits.connect(site({}, 'leaver'), user('1'))
  t.equal(limits.size, 3)
  limits.disconnect(site({}, 'leaver').id, user('1'))
  await until(() => limits.size === 2, { what: 'one to be forgotten' })
  clock.ms += 1000
  await until(() => limits.size === 1, { what: 'the other to be forgotten' })
  limits.disconnect(site({}, 'reader').id, user('1'))
  await until(() => limits.size === 0, { what: 'the last to be forgotten' })
})
