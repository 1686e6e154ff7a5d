import t from 'tap'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)
const acme = new Site('acme')
const people = new Site('people')
const chatty = new Site('chatty')
const publisher = new Site('publisher')
const crowd = new Site('crowd')
const heavy = new Site('heavy')
const relay = await startRelay(t, {
  ...acme.entry(),
  ...people.entry({ limits: { connections: 3, connections_per_user: 2 } }),
  ...chatty.entry({ limits: { frames_per_second: 1, frames_burst: 5 } }),
  ...publisher.entry({ limits: { publishes_per_second: 3 } }),
  ...crowd.entry({ limits: { deliveries_per_second: 5 } }),
  ...heavy.entry({ limits: { backpressure_bytes: 65_536 } }),
})
const limited = (kind: string): Promise<number> => metric(relay, `rate_limited_total{kind="${kind}"}`)
const event = (thread: string, data: unknown = 1): object => ({ to: { thread }, type: 'm', data })

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`${relay.admin}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)![1])
}

/** Returns the close of a connect that must fail, after its error. */
async function refused(t: Parameters<typeof Client.open>[0], token: string): Promise<{ code: number; reason: string }> {
  const client = await Client.open(t, relay)
  client.send({ op: 'connect', id: 1, token })
  const close = await client.expectClose()
  if (client.frames.length !== 1) throw new Error(`one error was expected, came: ${client.raw.join(' ')}`)
  return close
}

await t.test(
  'connections over the limit of the user or the site are told when to come back, and closed with 4429',
  async t => {
    const first = await Client.connect(t, relay, people.user('1'))
    await Client.connect(t, relay, people.user('1'))
    const third = await Client.open(t, relay)
    third.send({ op: 'connect', id: 7, token: people.user('1') })
    t.same(await third.expectClose(), { code: 4429, reason: 'connection_limit' })
    t.match(third.frames, [
      { op: 'error', id: 7, code: 'connection_limit', message: /2 for one user/, retry_after: 30 },
    ])
    await Client.connect(t, relay, people.user('2'))
    t.same(await refused(t, people.user('3')), { code: 4429, reason: 'connection_limit' })
    t.equal((await Client.connect(t, relay, acme.user('1'))).frames[0]!.op, 'connected', 'another site has its own')

    first.socket.close()
    await until(async () => (await Client.connect(t, relay, people.user('3'))).frames[0]!.op === 'connected', {
      what: 'the place that became free',
    })
    t.equal(await limited('user_connections'), 1)
    t.ok((await limited('connections')) >= 1)
  },
)

await t.test('a connect that fails takes no place', async t => {
  const site = new Site('lonely')
  const other = await startRelay(t, site.entry({ limits: { connections: 1 }, origins: [] }))
  for (let i = 0; i < 3; i++) {
    const page = await Client.open(t, other, { origin: 'https://evil.example' })
    page.send({ op: 'connect', token: site.user('1') })
    t.equal((await page.expectClose()).reason, 'origin_not_allowed')
  }
  t.equal((await Client.connect(t, other, site.user('1'))).frames[0]!.op, 'connected')
})

await t.test(
  'a frame over the rate is answered with its id and not worked on; after retry_after the next one is',
  async t => {
    const client = await Client.connect(t, relay, chatty.user('1', { t: ['read'] }))
    for (let id = 101; id <= 106; id++) client.send({ op: 'subscribe', id, threads: ['t'] })
    // Also where the id stands elsewhere, and it is not the one inside `data`.
    client.send('{"op":"subscribe","data":{"id":5},"threads":["t"],"id":107}')
    // A refusal waits for nobody: where all came in one read it is there before the answers.
    for (const last of [105, 107]) await client.expect(({ id }) => id === last, `the answer to ${last}`)
    const answers = client.frames.slice(1)
    t.same(
      answers.filter(({ op }) => op === 'subscribed').map(({ id }) => id),
      [101, 102, 103, 104, 105],
    )
    const errors = answers.filter(({ op }) => op === 'error')
    t.match(
      errors,
      [106, 107].map(id => ({ id, code: 'rate_limited', message: /1 frames per second/ })),
    )
    t.same(
      errors.map(({ retry_after }) => retry_after),
      [2, 3],
    )
    await new Promise(resolve => setTimeout(resolve, 1000 * errors[1]!['retry_after']))
    t.match(await client.subscribe('t'), { op: 'subscribed' })
    t.equal(client.closed, undefined)
  },
)

await t.test('who goes on for a whole further burst is closed with 4429', async t => {
  const client = await Client.connect(t, relay, chatty.user('1'))
  for (let id = 101; id < 130; id++) client.send({ op: 'unsubscribe', id, threads: ['t'] })
  t.same(await client.expectClose(), { code: 4429, reason: 'rate_limited' })
  const refusals = client.frames.filter(({ code }) => code === 'rate_limited')
  // Five are borne and the next is the end; a slow machine may have earned some more.
  t.ok(refusals.length >= 6 && refusals.length < 10, `${refusals.length}`)
  t.ok((await limited('frames')) >= 8)
})

await t.test('a large frame counts once for each 4 KiB', async t => {
  const client = await Client.connect(t, relay, chatty.user('1'))
  client.send({ op: 'unsubscribe', id: 101, threads: ['t'], pad: 'x'.repeat(16_384) })
  client.send({ op: 'unsubscribe', id: 102, threads: ['t'] })
  t.match(await client.expect(({ id }) => id === 101, 'the first answer'), { op: 'unsubscribed' })
  t.match(await client.expect(({ id }) => id === 102, 'the second answer'), { op: 'error', code: 'rate_limited' })
})

await t.test('by default a client may subscribe to 250 threads one by one when it comes back', async t => {
  const threads = Array.from({ length: 250 }, (_, i) => `t${i}`)
  const rights = Object.fromEntries(threads.map(thread => [thread, ['read']]))
  const client = await Client.connect(t, relay, acme.user('1', rights))
  for (const [i, thread] of threads.entries()) client.send({ op: 'subscribe', id: 1000 + i, threads: [thread] })
  await client.expect(({ id }) => id === 1249, 'the last answer')
  t.equal(client.frames.filter(({ op }) => op === 'subscribed').length, 250)
})

await t.test('publishes over the limit: 429 with Retry-After, and nothing of the call is done', async t => {
  const client = await Client.connect(t, relay, publisher.user('1', { t: ['read'] }))
  await client.subscribe('t')
  const token = publisher.server()
  const events = (n: number): object => ({ events: Array.from({ length: n }, () => event('t', 'batch')) })
  t.equal((await call(relay, token, '/v1/publish/batch', events(6))).status, 200, 'a batch is let through whole')
  for (const [path, body] of [
    ['/v1/publish', event('t')],
    ['/v1/publish/batch', events(2)],
  ] as const) {
    const answer = await call(relay, token, path, body)
    t.match(answer, { status: 429, body: { code: 'rate_limited', detail: /3 publishes per second/ } }, path)
    t.match(answer.headers.get('retry-after'), /^[12]$/)
    t.match(answer.headers.get('content-type'), 'application/problem+json')
  }
  t.equal((await call(relay, acme.server(), '/v1/publish', event('t'))).status, 200, 'another site goes on')
  await until(async () => (await call(relay, token, '/v1/publish', event('t', 'last'))).status === 200, {
    what: 'a token',
  })
  await until(() => client.events().some(({ data }) => data === 'last'), { what: 'the event' })
  t.equal(client.events().length, 7)
  t.ok((await limited('publishes')) >= 2)
})

await t.test('deliveries over the limit: the event goes out to all, the next publish waits', async t => {
  const clients = await Promise.all(
    Array.from({ length: 12 }, (_, i) => Client.connect(t, relay, crowd.user(`${i}`, { t: ['read'] }))),
  )
  for (const client of clients) await client.subscribe('t')
  const token = crowd.server()
  t.equal((await call(relay, token, '/v1/publish', event('t'))).status, 200)
  await until(() => clients.every(client => client.events().length === 1), { what: 'the event for all' })
  const answer = await call(relay, token, '/v1/publish', event('t'))
  t.match(answer, { status: 429, body: { code: 'rate_limited', detail: /5 deliveries per second/ } })
  t.match(answer.headers.get('retry-after'), /^[12]$/)
  await until(async () => (await call(relay, token, '/v1/publish', event('t'))).status === 200, {
    what: 'the debt to be paid',
  })
  t.ok((await limited('deliveries')) >= 1)
})

await t.test(
  'clients that stop reading are closed with 4408, and neither the relay nor the others feel it',
  async t => {
    const token = heavy.user('1', { t: ['read'] })
    const [quick, ...slow] = await Promise.all(Array.from({ length: 6 }, () => Client.connect(t, relay, token)))
    for (const client of [quick!, ...slow]) await client.subscribe('t')
    for (const client of slow) client.socket.pause()
    const before = await residentBytes()
    const events = Array.from({ length: 16 }, () => event('t', 'x'.repeat(60_000)))
    let sent = 0
    await until(
      async () => {
        await call(relay, heavy.server(), '/v1/publish/batch', { events })
        sent += events.length
        // Go on after the last was closed: what waits must not grow any more.
        return (await metric(relay, 'slow_consumers_total')) === slow.length && sent >= 1000
      },
      { what: 'five slow consumers' },
    )
    // 60 MB for each of five would be 300 MB.
    const grown = (await residentBytes()) - before
    t.ok(grown < 100_000_000, `grew by ${grown} bytes`)
    await until(() => quick!.events().length === sent, { what: 'all events' })
    const stamps = quick!.events().map(({ stamp }) => stamp as number)
    t.same(
      quick!
        .events()
        .slice(1)
        .map(({ prev }) => prev as number),
      stamps.slice(0, -1),
      'in order, without a hole',
    )
    for (const client of slow) client.socket.resume()
    for (const client of slow) t.same(await client.expectClose(), { code: 4408, reason: 'too slow' })
    t.equal(await metric(relay, 'connections_closed_total{code="4408"}'), slow.length)
  },
)

await t.test('what goes over the node’s own cap at once is ended by it, and counted', async t => {
  const site = new Site('burst')
  const small = await startRelay(t, site.entry(), { THROUGHLINE_LIMITS: '{"backpressure_bytes": 65536}' })
  const client = await Client.connect(t, small, site.user('1', { t: ['read'] }))
  await client.subscribe('t')
  client.socket.pause()
  const events = Array.from({ length: 16 }, () => event('t', 'x'.repeat(60_000)))
  await until(
    async () => {
      await call(small, site.server(), '/v1/publish/batch', { events })
      return (await metric(small, 'connections')) === 0
    },
    { what: 'the end of the socket' },
  )
  t.equal(await metric(small, 'slow_consumers_total'), 1)
  t.equal(await metric(small, 'connections_closed_total{code="1006"}'), 1)
})

await t.test('two nodes over one Redis share the limits of a site, with a second’s delay', async t => {
  const redis = await startRedis(t)
  const site = new Site('shared')
  const entry = site.entry({ limits: { connections: 8, publishes_per_second: 5 } })
  const start = (): Promise<Relay> => startRelay(t, entry, { THROUGHLINE_BUS: redis.url })
  const [a, b] = await Promise.all([start(), start()])
  for (let i = 0; i < 7; i++) await Client.connect(t, a, site.user(`${i}`))
  const one = await Client.connect(t, b, site.user('x'))
  t.equal(one.frames[0]!.op, 'connected')
  const refused = await until(
    async () => {
      const client = await Client.connect(t, b, site.user('y'))
      client.socket.close()
      return client.frames.find(({ code }) => code === 'connection_limit')
    },
    { what: 'a refusal' },
  )
  t.match(refused, { message: /8 for the site/ })
  const published = async (node: Relay, n: number): Promise<number> => {
    const events = Array.from({ length: n }, () => event('t'))
    return (await call(node, site.server(), '/v1/publish/batch', { events })).status
  }
  // A node takes part once it publishes itself; then it learns what the other has done since.
  await until(
    async () => {
      await published(a, 50)
      return (await published(b, 1)) === 429
    },
    { what: 'a refusal for what the other node published' },
  )
  const [key = ''] = (await redis.cli('KEYS', '*}:l:*')).split('\n')
  t.match(key, /^tl:\{...\}:l:shared\/site$/)
  t.match(await redis.cli('PTTL', key), /^\d{1,5}$/)
  // A node that dies gives its connections back.
  a.kill('SIGKILL')
  await until(async () => (await Client.connect(t, b, site.user('z'))).frames[0]!.op === 'connected', {
    what: 'room',
  })
})
