import t from 'tap'
import { addUpSites, lostSites, siteExposition, SiteMetrics } from '../../src/observe/sites.ts'
import type { SiteRows } from '../../src/observe/site-families.ts'
import type { SiteId, ThreadId } from '../../src/protocol/ids.ts'
import { threadTopic } from '../../src/protocol/topic.ts'
import { CallbackOrigin, status } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { promtool } from '../support/prometheus.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { samplesOf, sites } from '../support/site-metrics.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const globex = new Site('globex')
const quiet = new Site('quiet')
const origin = await CallbackOrigin.start(t)
const limits = { publishes_per_second: 5 }
const relay = await startRelay(
  t,
  {
    ...acme.entry({ callback: { url: origin.url, events: ['user.online'] } }),
    ...globex.entry({ limits }),
    ...quiet.entry(),
  },
  { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' },
)
const event = { to: { thread: '42' }, type: 'm', data: 1 }

await t.test('nothing is told of a site of which nothing was counted, nor of one that does not exist', async t => {
  const stranger = new Site('stranger')
  t.match(await call(relay, stranger.server(), '/v1/publish', event), { body: { code: 'unknown_site' } })
  const client = await Client.open(t, relay)
  client.send({ op: 'connect', token: stranger.user('7') })
  await client.expectClose()
  await call(relay, 'x', '/v1/publish', event)
  t.equal((await fetch(`${relay.admin}/callbacks?site=nobody`)).status, 404)
  t.strictSame(await sites(relay), {})
})

await t.test('what goes through is counted for the site that it belongs to', async t => {
  const clients = [
    await Client.connect(t, relay, acme.user('1', { 42: ['read', 'send'] })),
    await Client.connect(t, relay, acme.user('2', { 42: ['read'] })),
    await Client.connect(t, relay, globex.user('1', { 42: ['read'] })),
  ]
  for (const client of clients) await client.subscribe('42')
  await call(relay, acme.server(), '/v1/publish', event)
  await call(relay, acme.server(), '/v1/publish/batch', { events: [event, { ...event, ephemeral: true }] })
  await call(relay, globex.server(), '/v1/publish', event)
  await until(() => clients[2]!.events().length === 1 && clients[1]!.events().length === 3, { what: 'the events' })
  const expected = {
    acme: { connections: 2, 'events_published_total source=api': 3, deliveries_total: 6 },
    globex: { connections: 1, 'events_published_total source=api': 1, deliveries_total: 1 },
  }
  await until(async () => (await sites(relay))['acme']?.['deliveries_total'] === 6, { what: 'the deliveries' })
  const told = await sites(relay)
  t.match(told, expected)
  t.strictSame(Object.keys(told).toSorted(), ['acme', 'globex'])
  t.strictSame(Object.keys(told['globex']!), [
    'connections',
    'events_published_total source=api',
    'events_published_total source=client',
    'deliveries_total',
  ])
  await clients[0]!.ask('send', { thread: '42', type: 'typing' })
  clients[1]!.socket.close()
  await until(async () => (await sites(relay))['acme']?.['connections'] === 1, { what: 'the close' })
  t.match((await sites(relay))['acme'], { 'events_published_total source=client': 1 })
})

await t.test('what is refused is counted for the site whose token, client or origin it was', async t => {
  const codes: string[] = []
  const publish = async (body: unknown): Promise<void> => {
    const answer = await call(relay, globex.server(), '/v1/publish', body)
    if (answer.status !== 200) codes.push(answer.body.code)
  }
  for (let i = 0; i < 8; i++) await publish(event)
  await until(
    async () => {
      await publish('{')
      return codes.includes('bad_json')
    },
    { what: 'the site to be heard again' },
  )
  const forger = new Site('globex')
  await call(relay, forger.server(), '/v1/publish', event)
  await call(relay, globex.server({ exp: 1 }), '/v1/publish', event)
  const client = await Client.open(t, relay)
  client.send({ op: 'connect', token: forger.user('7') })
  await client.expectClose()
  const user = await Client.connect(t, relay, globex.user('9'))
  await user.subscribe('nowhere')
  await user.ask('fly')
  const told = (await sites(relay))['globex']!
  const limited = codes.filter(code => code === 'rate_limited').length
  t.ok(limited > 0, 'more than 5 a second')
  t.match(told, {
    'rate_limited_total kind=publishes': limited,
    'rate_limited_total kind=sends': 0,
    auth_failures_total: 3,
    refusals_total: codes.length + 2,
  })
  t.equal(told['callbacks_total outcome=ok'], undefined, 'it has no callback')
})

await t.test('callbacks are counted by outcome, and the queue is told', async t => {
  await until(async () => (await sites(relay))['acme']?.['callbacks_total outcome=ok'] !== undefined, { what: 'one' })
  origin.answer = status(500)
  await Client.connect(t, relay, acme.user('late'))
  await until(
    async () => {
      const told = (await sites(relay))['acme']!
      return told['callbacks_total outcome=retry']! > 0 && told['callback_queue_depth']! > 0
    },
    { what: 'a fact that waits' },
  )
  const told = (await sites(relay))['acme']!
  t.ok(told['callback_queue_age_seconds']! > 0, 'and how long it has waited')
})

await t.test('facts that are given up are logged once, with the site and how many', async t => {
  origin.answer = status(410)
  await call(relay, acme.server(), '/v1/callbacks/retry', {})
  const lines = (): object[] =>
    relay.log
      .filter(line => line.includes('facts for a callback were given up'))
      .map(line => JSON.parse(line) as object)
  await until(() => lines().length > 0, { what: 'the line' })
  const dropped = (await sites(relay))['acme']!['callbacks_total outcome=dropped']
  t.match(lines(), [{ site: 'acme', facts: dropped, level: 40 }])
})

await t.test('the exposition passes promtool, and /metrics has nothing of it', async t => {
  const answer = await fetch(`${relay.admin}/metrics/sites`)
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  t.equal(promtool(await answer.text(), 'check', 'metrics'), '')
  t.notMatch(await (await fetch(`${relay.admin}/metrics`)).text(), /throughline_site_|acme|globex/)
})

const id = (site: string): SiteId => site as SiteId
const topic = (site: string): ReturnType<typeof threadTopic> => threadTopic(id(site), '1' as ThreadId)
const rows = (metrics: SiteMetrics): SiteRows => structuredClone(metrics.rows([]))

await t.test('a site is forgotten after ten minutes without connections and without anything', async t => {
  const metrics = new SiteMetrics()
  const minutes = (count: number): void => {
    for (let i = 0; i < count; i++) metrics.sweep()
  }
  metrics.connected(id('stays'))
  metrics.connected(id('leaves'))
  metrics.delivered(topic('leaves'), 3)
  for (let i = 0; i < 1000; i++) metrics.published('api', id(`once-${i}`))
  minutes(10)
  t.equal(metrics.size, 1002)
  minutes(1)
  t.equal(metrics.size, 2, 'who is connected stays, however quiet')
  metrics.disconnected(id('leaves'))
  minutes(10)
  metrics.delivered(topic('leaves'), 1)
  minutes(10)
  t.equal(metrics.size, 2, 'each event is another ten minutes')
  minutes(1)
  t.equal(metrics.size, 1)
  metrics.delivered(topic('leaves'), 2)
  t.match(samplesOf(await siteExposition(rows(metrics))), { leaves: { deliveries_total: 2, connections: 0 } })
})

await t.test('sites whose names begin alike, or have the same hash, have their own numbers', async t => {
  const metrics = new SiteMetrics()
  for (const site of ['a', 'ab', 'a', 'a-b', 'ab']) metrics.delivered(topic(site), 1)
  const told = samplesOf(await siteExposition(rows(metrics)))
  t.match(told, { a: { deliveries_total: 2 }, ab: { deliveries_total: 2 }, 'a-b': { deliveries_total: 1 } })
  for (const site of ['aan', 'ac0', 'aan']) metrics.delivered(topic(site), 1)
  for (let i = 0; i < 11; i++) {
    metrics.sweep()
    metrics.delivered(topic('ac0'), 1)
  }
  t.strictSame([...rows(metrics).keys()], ['ac0'], 'the others are forgotten')
  metrics.delivered(topic('aan'), 5)
  t.match(samplesOf(await siteExposition(rows(metrics))), {
    ac0: { deliveries_total: 12 },
    aan: { deliveries_total: 5 },
  })
})

await t.test('processes are added up, the ages excepted', async t => {
  const [one, other] = [new SiteMetrics(), new SiteMetrics()]
  one.connected(id('a'))
  one.rateLimited('sends', id('a'))
  other.connected(id('a'))
  other.happened('dropped', id('b'), 7)
  const queue = (depth: number, ageSeconds: number) => [{ site: id('a'), depth, ageSeconds }]
  const all = addUpSites([one.rows(queue(2, 30)), other.rows(queue(3, 20))])
  t.match(samplesOf(await siteExposition(all)), {
    a: {
      connections: 2,
      'rate_limited_total kind=sends': 1,
      callback_queue_depth: 5,
      callback_queue_age_seconds: 30,
    },
    b: { connections: 0, 'callbacks_total outcome=dropped': 7 },
  })
})

await t.test(
  'what a process has forgotten, or begun anew, is known to be lost; what it goes on with is not',
  async t => {
    const metrics = new SiteMetrics()
    metrics.connected(id('a'))
    metrics.published('api', id('a'))
    metrics.connected(id('b'))
    metrics.published('client', id('b'))
    const before = rows(metrics)
    t.equal(lostSites(before, rows(metrics)).size, 0)
    metrics.disconnected(id('a'))
    t.equal(lostSites(before, rows(metrics)).size, 0, 'a gauge may go down')
    const lost = lostSites(before, new Map([[id('b'), before.get(id('b'))!]]))
    const told = samplesOf(await siteExposition(lost))
    t.strictSame(Object.keys(told), ['a'])
    t.match(told, { a: { connections: 0, 'events_published_total source=api': 1 } })
    t.equal(lostSites(before, new SiteMetrics().rows([{ site: id('b'), depth: 0, ageSeconds: 0 }])).size, 2)
  },
)

await t.test('a label is escaped, whatever a site may be called', async t => {
  const hostile = 'a"} 1\nup{b="\\'
  const metrics = new SiteMetrics()
  metrics.connected(id(hostile))
  const text = await siteExposition(rows(metrics))
  t.match(text, 'throughline_site_connections{site="a\\"} 1\\nup{b=\\"\\\\"} 1\n')
  t.strictSame(Object.keys(samplesOf(text)), [hostile])
  t.equal(promtool(text, 'check', 'metrics'), '')
})
