import t from 'tap'
import { Client } from '../support/client.ts'
import { call, metric, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const other = new Site('other')
const relay = await startRelay(t, { ...acme.entry(), ...other.entry() })
const server = acme.server()

await t.test('connected tells who the client is and where its chains stand', async t => {
  const client = await Client.open(t, relay, { origin: 'https://example.com' })
  const token = acme.user('7')
  const connected = await client.ask('connect', { token })
  t.match(connected, { op: 'connected', user: '7', site: 'acme', heartbeat: 25 })
  t.match(connected['connection'], /^[A-Za-z0-9_.:@-]{1,128}$/)
  t.same(Object.keys(connected['chains']), ['user', 'site'])
  for (const chain of Object.values<any>(connected['chains'])) {
    t.equal(chain.state, 'new')
    t.ok(Number.isSafeInteger(chain.head) && chain.head > 1e15)
  }
  t.equal(client.socket.protocol, 'throughline.v1')
})

await t.test('an event reaches the subscribers of its thread, its data byte for byte, its chain linked', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t1: ['read'] }))
  const subscribed = await client.subscribe('t1')
  const data = '{ "n": 9007199254740993.10, "twice": 1, "twice": 2, "é": "\\ud800\\u0041", "__proto__": [ ] }'
  const first = await call(
    relay,
    server,
    '/v1/publish',
    `{"to":{"thread":"t1"},"type":"message","id":"a1","data":${data}}`,
  )
  const second = await call(relay, server, '/v1/publish', { to: { thread: 't1' }, type: 'message', data: null })
  t.equal(first.status, 200)
  t.equal(first.body.id, 'a1')
  await until(() => client.events().length === 2, { what: 'two events' })
  const [one, two] = client.events()
  t.match(one, { chain: 'thread:t1', thread: 't1', type: 'message', id: 'a1', stamp: first.body.stamps['thread:t1'] })
  t.equal(one!['prev'], subscribed['chains']['thread:t1'].head)
  t.equal(two!['prev'], one!['stamp'])
  t.equal(two!['stamp'], second.body.stamps['thread:t1'])
  t.ok(
    client.raw.some(text => text.endsWith(`"data":${data}}`)),
    'the bytes are the same',
  )
})

await t.test('users get events on their own chain, and everybody on the site chain', async t => {
  const seven = await Client.connect(t, relay, acme.user('7'))
  const eight = await Client.connect(t, relay, acme.user('8'))
  const answer = await call(relay, server, '/v1/publish', {
    to: { users: [7, '8', '7'] },
    thread: 'x',
    type: 'note',
    data: 1,
  })
  t.same(Object.keys(answer.body.stamps), ['user:7', 'user:8'])
  await call(relay, server, '/v1/publish', { to: { site: true }, type: 'news', data: 2 })
  for (const client of [seven, eight]) {
    await until(() => client.events().length === 2, { what: 'two events' })
    t.match(client.events()[0], { chain: 'user', thread: 'x', type: 'note', data: 1 })
    t.match(client.events()[1], { chain: 'site', type: 'news', data: 2 })
  }
})

await t.test('the left-out connection keeps its chain whole and does not see the content', async t => {
  const token = acme.user('7', { t2: ['read'] })
  const poster = await Client.connect(t, relay, token)
  const tab = await Client.connect(t, relay, token)
  await poster.subscribe('t2')
  await tab.subscribe('t2')
  const except = poster.frames[0]!['connection'] as string
  const body = { to: { thread: 't2' }, type: 'message', data: 'secret', id: 'e1', except }
  const { stamps } = (await call(relay, server, '/v1/publish', body)).body
  await call(relay, server, '/v1/publish', { ...body, id: 'e2', ephemeral: true })
  await call(relay, server, '/v1/publish', { ...body, id: 'e3', except: undefined })
  await until(() => tab.events().length === 3 && poster.events().length === 2, { what: 'the events' })
  const [own, next] = poster.events()
  t.same(own, { op: 'event', chain: 'thread:t2', stamp: stamps['thread:t2'], prev: own!['prev'], id: 'e1', own: true })
  t.match(next, { id: 'e3', prev: own!['stamp'], data: 'secret' })
  t.same(
    tab.events().map(event => event['id']),
    ['e1', 'e2', 'e3'],
  )
})

await t.test('an ephemeral event has no place in the chain', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t3: ['read'] }))
  await client.subscribe('t3')
  const answer = await call(relay, server, '/v1/publish', {
    to: { thread: 't3' },
    type: 'typing',
    data: {},
    ephemeral: true,
  })
  t.same(answer.body.stamps, {})
  await until(() => client.events().length === 1, { what: 'the event' })
  t.same(Object.keys(client.events()[0]!), ['op', 'id', 'type', 'thread', 'at', 'data'])
})

await t.test('the same id is published once', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t4: ['read'] }))
  await client.subscribe('t4')
  const body = { to: { thread: 't4' }, type: 'message', data: 1, id: 'same' }
  const first = await call(relay, server, '/v1/publish', body)
  const again = await call(relay, server, '/v1/publish', body)
  const last = await call(relay, server, '/v1/publish', { ...body, id: 'last' })
  t.same(again.body, { ...first.body, duplicate: true })
  await until(() => client.events().length === 2, { what: 'two events' })
  t.same(
    client.events().map(event => event['stamp']),
    [first, last].map(answer => answer.body.stamps['thread:t4']),
  )
})

await t.test('after unsubscribe nothing comes, and since tells whether something was missed', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t5: ['read'], t6: ['read'] }))
  await client.subscribe('t5', 't6')
  await client.ask('unsubscribe', { threads: ['t5'] })
  const body = { type: 'message', data: 1 }
  const missed = (await call(relay, server, '/v1/publish', { ...body, to: { thread: 't5' } })).body.stamps['thread:t5']
  await call(relay, server, '/v1/publish', { ...body, to: { thread: 't6' } })
  await until(() => client.events().length === 1, { what: 'the event of t6' })
  t.equal(client.events()[0]!['thread'], 't6')
  const behind = await client.ask('subscribe', { threads: ['t5'], since: { 'thread:t5': missed - 1 } })
  t.match(behind['chains']['thread:t5'], { head: missed, state: 'behind', within: Number })
  const current = await client.ask('subscribe', { threads: ['t5'], since: { 'thread:t5': missed } })
  t.same(current['chains']['thread:t5'], { head: missed, state: 'current' })
  const odd = await client.ask('subscribe', { threads: ['t5'], since: { 'thread:t5': 'x' } })
  t.equal(odd['chains']['thread:t5'].state, 'behind')
})

await t.test('tenants never meet: the same thread and user ids in another site hear nothing', async t => {
  const mine = await Client.connect(t, relay, acme.user('7', { t7: ['read'] }))
  const theirs = await Client.connect(t, relay, other.user('7', { t7: ['read'] }))
  await mine.subscribe('t7')
  await theirs.subscribe('t7')
  await call(relay, other.server(), '/v1/publish', { to: { thread: 't7' }, type: 'm', data: 'theirs' })
  await call(relay, other.server(), '/v1/publish', { to: { users: ['7'] }, type: 'm', data: 'theirs' })
  await call(relay, other.server(), '/v1/publish', { to: { site: true }, type: 'm', data: 'theirs' })
  await call(relay, server, '/v1/publish', { to: { thread: 't7' }, type: 'm', data: 'mine' })
  await until(() => mine.events().length === 1 && theirs.events().length === 3, { what: 'the events' })
  t.same(
    mine.events().map(event => event['data']),
    ['mine'],
  )
})

await t.test('subscribing under fire misses nothing and doubles nothing', async t => {
  const token = acme.user('7', { busy: ['read'] })
  let sent = 0
  let stop = false
  const publishers = Array.from({ length: 8 }, async () => {
    while (!stop) {
      await call(relay, server, '/v1/publish', { to: { thread: 'busy' }, type: 'm', data: sent++ })
    }
  })
  for (let round = 0; round < 20; round++) {
    const client = await Client.connect(t, relay, token)
    const { chains } = await client.subscribe('busy')
    await until(() => client.events().length > 10, { what: 'events' })
    let last = chains['thread:busy'].head as number
    const broken = client.events().filter(event => {
      const fits = event['prev'] === last
      last = event['stamp'] as number
      return !fits
    })
    t.same(broken, [], 'every prev is the stamp before it')
    const answer = client.frames.findIndex(frame => frame.op === 'subscribed')
    t.notOk(
      client.frames.slice(0, answer).some(frame => frame.op === 'event'),
      'nothing came before the answer',
    )
    client.socket.close()
  }
  stop = true
  await Promise.all(publishers)
})

await t.test('a batch is published in order, each event on its own', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t8: ['read'] }))
  await client.subscribe('t8')
  const good = (n: number): object => ({ to: { thread: 't8' }, type: 'm', data: n })
  const events = [
    good(0),
    { ...good(1), type: 'bad type' },
    good(2),
    { ...good(3), data: 'x'.repeat(65_536) },
    5,
    good(4),
  ]
  const { status, body } = await call(relay, server, '/v1/publish/batch', { events })
  t.equal(status, 200)
  t.same(
    body.results.map(
      (result: { error?: { code: string; pointer?: string } }) =>
        result.error && [result.error.code, result.error.pointer],
    ),
    [
      undefined,
      ['bad_field', '/events/1/type'],
      undefined,
      ['too_large', '/events/3/data'],
      ['bad_field', '/events/4'],
      undefined,
    ],
  )
  await until(() => client.events().length === 3, { what: 'three events' })
  t.same(
    client.events().map(event => event['data']),
    [0, 2, 4],
  )
})

await t.test('connections are pinged, each in its own second of the heartbeat', async t => {
  const clients = await Promise.all(Array.from({ length: 25 }, (_, i) => Client.connect(t, relay, acme.user(`p${i}`))))
  const pinged = (): number => clients.filter(client => client.frames.some(frame => frame.op === 'ping')).length
  await until(() => pinged() >= 2, { what: 'pings' })
  t.ok(pinged() < 25, 'not all at once')
  for (const client of clients) client.socket.close()
})

await t.test('a client that reads nothing is ended, and costs the others nothing', async t => {
  const token = acme.user('7', { t9: ['read'] })
  const [slow, quick] = [await Client.connect(t, relay, token), await Client.connect(t, relay, token)]
  for (const client of [slow, quick]) await client.subscribe('t9')
  const before = await metric(relay, 'connections')
  slow.socket.pause()
  const event = { to: { thread: 't9' }, type: 'm', data: 'x'.repeat(60_000) }
  let sent = 0
  // The kernel's buffers, some MiB, fill up before the relay's limit of 1 MiB counts.
  await until(
    async () => {
      await call(relay, server, '/v1/publish/batch', { events: Array.from({ length: 10 }, () => event) })
      sent += 10
      return (await metric(relay, 'connections')) < before
    },
    { ms: 30_000, what: 'the end of the slow client' },
  )
  await until(() => quick.events().length === sent, { what: () => `${sent} events; came: ${quick.events().length}` })
  let last = quick.events()[0]!['prev'] as number
  t.ok(
    quick.events().every(event => {
      const fits = event['prev'] === last
      last = event['stamp'] as number
      return fits
    }),
    'the chain is whole',
  )
  slow.socket.resume()
  t.same(await slow.expectClose(), { code: 4408, reason: 'too slow' })
})

await t.test('closing a connection lets go of it, and of its chains after a pause', async t => {
  const before = await metric(relay, 'connections')
  const client = await Client.connect(t, relay, acme.user('only-here'))
  const chains = await metric(relay, 'chains')
  client.socket.terminate()
  await until(async () => (await metric(relay, 'connections')) <= before, { what: 'the connection to be gone' })
  await until(async () => (await metric(relay, 'chains')) < chains, { what: 'the chain to be let go of' })
})
