import t from 'tap'
import { CallbackOrigin } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { Collector, type SeenSpan } from '../support/collector.ts'
import { startRedis } from '../support/redis.ts'
import { call, type Relay, serve, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const collector = await Collector.start(t)
const origin = await CallbackOrigin.start(t)
const redis = await startRedis(t)
const callback = { url: origin.url, events: ['user.online'] }
const environment = {
  THROUGHLINE_BUS: redis.url,
  THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8',
  THROUGHLINE_OTLP: collector.url,
  THROUGHLINE_TRACE_SHARE: '0',
}
const start = (more: Record<string, string> = {}): Promise<Relay> =>
  startRelay(t, acme.entry({ callback }), { ...environment, ...more })
const [first, second, untraced] = [await start(), await start(), await start({ THROUGHLINE_OTLP: '' })]
const token = acme.server()
const clients = [
  await Client.connect(t, first, acme.user('7', { 42: ['read'] })),
  await Client.connect(t, second, acme.user('8', { 42: ['read'] })),
  await Client.connect(t, second, acme.user('9', { 42: ['read'] })),
  await Client.connect(t, untraced, acme.user('10', { 42: ['read'] })),
]
for (const client of clients) await client.subscribe('42')

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const SECRET = 'a-canary-in-the-data'
const event = { to: { thread: '42' }, type: 'message', data: SECRET }

function publish(
  traceparent: string | undefined,
  more: object = {},
  path = '/v1/publish',
): Promise<{ status: number }> {
  return call(first, token, path, { ...event, ...more }, traceparent === undefined ? {} : { traceparent })
}

await t.test(
  'an event is followed from the call to the sockets of every node, as a part of the trace of its origin',
  async t => {
    t.equal((await publish(`00-${TRACE}-${PARENT}-01`)).status, 200)
    await until(() => collector.named('deliver').length === 2, { what: 'two deliveries' })
    await until(() => clients.every(client => client.events().length === 1), { what: 'the event everywhere' })
    const [api, published] = ['POST /v1/publish', 'publish'].map(name => collector.named(name)[0]!) as [
      SeenSpan,
      SeenSpan,
    ]
    t.match(api, { traceId: TRACE, parentSpanId: PARENT, kind: 2, attributes: { 'throughline.site': 'acme' } })
    t.match(published, {
      traceId: TRACE,
      parentSpanId: api.spanId,
      kind: 4,
      attributes: { 'throughline.type': 'message' },
    })
    for (const delivered of collector.named('deliver')) {
      t.match(delivered, { traceId: TRACE, parentSpanId: published.spanId, kind: 5 })
      t.ok(BigInt(delivered.endTimeUnixNano) >= BigInt(delivered.startTimeUnixNano))
    }
    t.strictSame(
      collector
        .named('deliver')
        .map(({ attributes }) => Number(attributes['throughline.sockets']))
        .toSorted((a, b) => a - b),
      [1, 2],
    )
    t.match(collector.resource, { 'service.name': 'throughline', 'service.version': /^\d/ })
    t.equal(collector.requests[0]!.path, '/v1/traces')
  },
)

await t.test(
  'what is left out of a traced event is left out on every node, and frames are the same with and without',
  async t => {
    const [mine, other] = [clients[1]!, clients[2]!]
    const except = mine.frames[0]!['connection'] as string
    await publish(`00-${TRACE}-${PARENT}-01`, { except })
    await until(() => clients.every(client => client.events().length === 2), { what: 'the event everywhere' })
    t.strictSame(mine.events()[1]!['own'], true)
    t.notOk('data' in mine.events()[1]!)
    t.equal(other.events()[1]!['data'], SECRET)
    t.equal(clients[3]!.events()[1]!['data'], SECRET, 'on the node that does not trace, too')
    await publish(undefined)
    await until(() => clients.every(client => client.events().length === 3), { what: 'the event everywhere' })
    t.strictSame(Object.keys(other.events()[2]!), Object.keys(other.events()[0]!))
  },
)

await t.test('what the origin does not want traced, or says wrongly, is not traced', async t => {
  await until(() => collector.named('deliver').length === 4, { what: 'what came before' })
  const before = collector.spans.length
  for (const traceparent of [
    undefined,
    `00-${TRACE}-${PARENT}-00`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `01-${TRACE}-${PARENT}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    'nonsense',
  ]) {
    t.equal((await publish(traceparent)).status, 200)
  }
  t.equal((await publish(`00-${TRACE}-${PARENT}-01`, { type: 'last' })).status, 200)
  await until(() => collector.named('deliver').length === 6, { what: 'the last event' })
  t.equal(collector.spans.length, before + 4, 'of the last one only')
})

await t.test('a call that is refused ends as failed, by its code', async t => {
  await publish(`00-${TRACE}-${PARENT}-01`, { data: undefined })
  await until(() => collector.spans.some(({ status }) => status.code === 2), { what: 'a failed span' })
  t.match(
    collector.spans.find(({ status }) => status.code === 2),
    { name: 'POST /v1/publish', status: { message: 'bad_field' } },
  )
})

await t.test('a batch is one call, and its events are published each by itself', async t => {
  const before = collector.named('publish').length
  const { status } = await call(
    first,
    token,
    '/v1/publish/batch',
    { events: [event, event] },
    {
      traceparent: `00-${TRACE}-${PARENT}-01`,
    },
  )
  t.equal(status, 200)
  await until(() => collector.named('POST /v1/publish/batch').length === 1, { what: 'the call' })
  const [batch] = collector.named('POST /v1/publish/batch')
  t.strictSame(
    collector
      .named('publish')
      .slice(before)
      .map(({ parentSpanId }) => parentSpanId),
    [batch!.spanId, batch!.spanId],
  )
})

await t.test(
  'a callback is a span that the origin can go on with, and a node that ends sends what is left',
  async t => {
    const site = new Site('other')
    const own = await CallbackOrigin.start(t)
    const receiver = await Collector.start(t)
    const relay = await startRelay(t, site.entry({ callback: { url: own.url, events: ['user.online'] } }), {
      ...environment,
      THROUGHLINE_BUS: 'memory',
      THROUGHLINE_OTLP: receiver.url,
      THROUGHLINE_TRACE_SHARE: '1',
      THROUGHLINE_DRAIN_SECONDS: '0',
    })
    await Client.connect(t, relay, site.user('7', { 42: ['read'] }))
    await until(() => own.told.length === 1, { what: 'the callback' })
    relay.kill('SIGTERM')
    t.equal(await relay.exit, 0)
    const [span] = receiver.named('callback')
    t.match(span, {
      kind: 3,
      attributes: {
        'throughline.status': Number,
        'throughline.host': new URL(own.url).host,
        'throughline.webhook_id': own.told[0]!.id,
      },
    })
    t.equal(own.told[0]!.headers['traceparent'], `00-${span!.traceId}-${span!.spanId}-01`)
  },
)

await t.test('no span has data, a token or a user in it', async t => {
  const sent = collector.bodies.join('\n')
  t.ok(sent.includes('throughline.site'))
  for (const secret of [SECRET, token, '"7"', '"thread', 'connection']) t.notOk(sent.includes(secret), secret)
  t.strictSame(
    origin.told.filter(({ headers }) => 'traceparent' in headers),
    [],
    'a share of 0 traces no callback',
  )
})

await t.test('a wrong collector stops the start, one that is away does not', async t => {
  const wrong = await serve({ THROUGHLINE_SITES: first.sitesFile, THROUGHLINE_OTLP: 'http://user:hunter2@collector' })
  t.equal(wrong.exit, 78)
  t.match(wrong.stderr, /^THROUGHLINE_OTLP: expected an http or https URL .*found "http:\/\/\*\*\*@collector"\n$/)
  const share = await serve({ THROUGHLINE_SITES: first.sitesFile, THROUGHLINE_TRACE_SHARE: '2' })
  t.match(share, { exit: 78, stderr: /^THROUGHLINE_TRACE_SHARE: expected a number, 0 to 1, found "2"\n$/ })
  const lonely = await start({ THROUGHLINE_OTLP: 'http://127.0.0.1:9' })
  const { status } = await call(lonely, token, '/v1/publish', event, { traceparent: `00-${TRACE}-${PARENT}-01` })
  t.equal(status, 200)
})
