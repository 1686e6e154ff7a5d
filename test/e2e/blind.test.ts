import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

// Every command is "slow", so that SLOWLOG shows all that a script was given: see below.
const redis = await startRedis(t)
const acme = new Site('acme')
const environment = { THROUGHLINE_BUS: redis.url, THROUGHLINE_LOG_LEVEL: 'trace' }
// The address is refused, so that what would be told stays in its queue. An origin's own type is named too.
const callback = { url: 'http://127.0.0.1/', events: ['user.online', 'message', 'event.delivered'], data: true }
const [a, b] = await Promise.all([
  startRelay(t, acme.entry({ callback }), environment),
  startRelay(t, acme.entry({ callback }), environment),
])
const server = acme.server()

await t.test('a marker in data is delivered and stands in no log, no metric and no Redis key', async t => {
  const marker = `marker-${randomBytes(12).toString('hex')}`
  const token = acme.user('7', { t1: ['read'] })
  const client = await Client.connect(t, b, token)
  await client.subscribe('t1')
  const event = { to: { thread: 't1' }, type: 'message', data: { text: marker } }
  await call(a, server, '/v1/publish', event)
  await call(a, server, '/v1/publish', { ...event, to: { users: ['7'] }, id: 'i1' })
  await call(a, server, '/v1/publish', { ...event, to: { site: true }, ephemeral: true, id: 'i2' })
  await call(a, server, '/v1/publish/batch', { events: [event, { ...event, to: { thread: '..' } }] })
  await until(() => client.events().length === 4, { what: 'the events' })
  t.ok(client.raw.filter(text => text.includes(marker)).length === 4, 'it was really there')

  const depth = async (): Promise<number> => {
    const answer = await fetch(`${a.api}/v1/callbacks`, { headers: { authorization: `Bearer ${server}` } })
    return ((await answer.json()) as { depth: number }).depth
  }
  await until(async () => (await depth()) > 0, { what: 'the user to be queued' })
  t.equal(await depth(), 1, 'and nothing else')

  // Refusals and outages are where content slips into logs.
  const call400 = await call(a, server, '/v1/publish', `{"to":{"thread":"t1"},"type":"m","data":"${marker}`)
  t.equal(call400.status, 400)
  t.notOk(JSON.stringify(call400.body).includes(marker), 'an error does not repeat what was sent')
  client.send(`{"op":"subscribe","threads":["${marker}"]`)
  await client.expectClose()
  await redis.cli('SCRIPT', 'FLUSH')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
  await call(a, server, '/v1/publish', event)

  const entries = await redis.entries()
  t.ok(entries.length > 3, 'there are keys to look at')
  for (const { key, value, ttl } of entries) {
    t.notOk(key.includes(marker) || value.includes(marker), key)
    t.ok(key.startsWith('tl:') && ttl > 0, `${key} has the prefix and an end`)
  }
  t.notOk((await redis.cli('SLOWLOG', 'GET', '1000')).includes(marker), 'nor in the slow log, as it is set by default')
  for (const relay of [a, b]) {
    const metrics = await (await fetch(`${relay.admin}/metrics`)).text()
    t.notOk(metrics.includes(marker))
    t.ok(relay.log.length > 5, 'there are lines to look at')
    t.notOk(relay.log.some(line => line.includes(marker)))
    for (const secret of [token, server])
      t.notOk(
        relay.log.some(line => line.includes(secret)),
        'no token in the log',
      )
  }
})
