import t from 'tap'
import { Client } from '../support/client.ts'
import { promtool } from '../support/prometheus.ts'
import { call, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('a-site-of-its-own')
const relay = await startRelay(t, acme.entry())
const server = acme.server()
const atFirst = await scrape(relay)

async function scrape({ admin }: Relay): Promise<string> {
  return (await fetch(`${admin}/metrics`)).text()
}

/** Returns the values of our own series that have moved between two scrapes, by how much. */
function moved(before: string, after: string): Record<string, number> {
  const old = valuesOf(before)
  const changes = [...valuesOf(after)].map(([name, value]) => [name, value - (old.get(name) ?? 0)] as const)
  return Object.fromEntries(changes.filter(([, change]) => change !== 0))
}

function valuesOf(text: string): Map<string, number> {
  const lines = text.matchAll(/^(throughline_[^ ]+) (.+)$/gm)
  return new Map([...lines].map(([, name = '', value]) => [name.slice('throughline_'.length), Number(value)]))
}

await t.test('opened connections, their frames and what is refused on them are counted, each once', async t => {
  const before = await scrape(relay)
  const client = await Client.connect(t, relay, acme.user('7', { t1: ['read'] }))
  await client.subscribe('t1', 'nowhere')
  await client.ask('unsubscribe', { threads: ['t1'] })
  await client.ask('fly')
  const stranger = await Client.open(t, relay)
  stranger.send({ op: 'connect', token: 'x' })
  await stranger.expectClose()
  const change = moved(before, await scrape(relay))
  delete change['event_loop_lag_seconds']
  t.strictSame(change, {
    connections: 1,
    connections_opened_total: 2,
    'connections_closed_total{code="4401"}': 1,
    chains: 3,
    'frames_received_total{op="connect"}': 2,
    'frames_received_total{op="subscribe"}': 1,
    'frames_received_total{op="unsubscribe"}': 1,
    'frames_received_total{op="unknown"}': 1,
    'auth_failures_total{code="token_malformed"}': 1,
    'refusals_total{code="thread_not_allowed"}': 1,
    'refusals_total{code="unknown_op"}': 1,
  })
})

await t.test('an event is counted once as published and once for each socket that it is handed to', async t => {
  const clients = [
    await Client.connect(t, relay, acme.user('1', { t2: ['read'] })),
    await Client.connect(t, relay, acme.user('2', { t2: ['read'] })),
  ]
  for (const client of clients) await client.subscribe('t2')
  const before = await scrape(relay)
  const event = { to: { thread: 't2' }, type: 'm', data: 1 }
  await call(relay, server, '/v1/publish', event)
  await call(relay, server, '/v1/publish', { ...event, ephemeral: true })
  await until(() => clients.every(client => client.events().length === 2), { what: 'the events' })
  const change = moved(before, await scrape(relay))
  t.match(change, {
    'events_published_total{source="api"}': 2,
    deliveries_total: 4,
    event_publish_seconds_count: 2,
    delivery_latency_seconds_count: 1,
  })
  t.ok(change['event_publish_seconds_sum']! > 0 && change['event_publish_seconds_sum']! < 1, 'in seconds')
  t.ok(change['delivery_latency_seconds_sum']! > 0 && change['delivery_latency_seconds_sum']! < 1, 'in seconds')
})

await t.test('calls and events of a batch that are refused are counted by code, and not as published', async t => {
  const before = await scrape(relay)
  await call(relay, server, '/v1/publish', '{')
  await call(relay, 'x', '/v1/publish', '{}')
  await call(relay, server, '/v1/publish/batch', { events: [{}, { to: { site: true }, type: 'm', data: 1 }, {}] })
  t.match(moved(before, await scrape(relay)), {
    'refusals_total{code="bad_json"}': 1,
    'auth_failures_total{code="token_malformed"}': 1,
    'refusals_total{code="bad_target"}': 2,
    'events_published_total{source="api"}': 1,
  })
})

await t.test(
  'what alerts ask for is there at 0 before it is counted: increase() does not see a series that begins at 1',
  t => {
    const zeros = new Set([...valuesOf(atFirst)].flatMap(([name, value]) => (value === 0 ? name : [])))
    for (const cause of ['bus', 'era', 'origin']) t.ok(zeros.has(`gaps_total{cause="${cause}"}`), cause)
    for (const source of ['api', 'client']) t.ok(zeros.has(`events_published_total{source="${source}"}`), source)
    t.ok(zeros.has('refusals_total{code="internal"}'))
    t.ok(zeros.has('callbacks_total{outcome="dropped"}'))
    t.end()
  },
)

await t.test('a request to a callback is timed until it is given up', async t => {
  t.match(atFirst, /^throughline_callback_seconds_bucket\{le="15"\} 0$/m)
})

await t.test('build info and the bus are told', async t => {
  const text = await scrape(relay)
  t.match(text, /^throughline_bus_up 1$/m)
  t.match(text, /^throughline_build_info\{version="[^"]+",node="[^"]+",uws="[^"]+"\} 1$/m)
})

await t.test('the exposition passes promtool', async t => {
  t.equal(promtool(await scrape(relay), 'check', 'metrics'), '')
})

await t.test('no metric tells a site, a user, a thread or a connection', async t => {
  const text = await scrape(relay)
  t.match(text, /^throughline_connections_opened_total [1-9]/m, 'there was something to tell of')
  const labels = new Set([...text.matchAll(/[{,]([a-zA-Z_]+)="/g)].map(([, label]) => label))
  for (const label of ['site', 'user', 'thread', 'connection', 'type', 'tenant']) t.notOk(labels.has(label), label)
  t.notMatch(text, acme.id)
  t.notMatch(text, 'nowhere')
})
