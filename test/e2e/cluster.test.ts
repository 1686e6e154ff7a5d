import t from 'tap'
import { Client, type Frame } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const redis = await startRedis(t)
const acme = new Site('acme')
const start = (): Promise<Relay> => startRelay(t, acme.entry(), { THROUGHLINE_BUS: redis.url })
const [a, b] = await Promise.all([start(), start()])
const server = acme.server()

await t.test('100 publishers on node A: node B delivers every event once, in stamp order, prev chained', async t => {
  const client = await Client.connect(t, b, acme.user('7', { t1: ['read'] }))
  const { chains } = await client.subscribe('t1')
  const PUBLISHERS = 100
  const EACH = 10
  const answers = await Promise.all(
    Array.from({ length: PUBLISHERS }, async (_, publisher) => {
      const stamps: number[] = []
      for (let n = 0; n < EACH; n++) {
        const body = { to: { thread: 't1' }, type: 'm', data: { publisher, n }, id: `${publisher}.${n}` }
        stamps.push((await call(a, server, '/v1/publish', body)).body.stamps['thread:t1'])
      }
      return stamps
    }),
  )
  await until(() => client.events().length >= PUBLISHERS * EACH, { what: 'all events' })
  const events = client.events()
  t.equal(events.length, PUBLISHERS * EACH)
  t.equal(broken(events, chains['thread:t1'].head), undefined, 'every prev is the stamp before it')
  t.same(
    events.map(event => event['stamp'] as number).toSorted((a, b) => a - b),
    answers.flat().toSorted((a, b) => a - b),
    'the stamps that the origin was told',
  )
  for (let publisher = 0; publisher < PUBLISHERS; publisher++) {
    const own = events.filter(event => event['data'].publisher === publisher).map(event => event['data'].n)
    t.same(own, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'one publisher after another keeps its order')
  }
})

await t.test('both nodes show one and the same order', async t => {
  const token = acme.user('7', { t2: ['read'] })
  const clients = [await Client.connect(t, a, token), await Client.connect(t, b, token)]
  for (const client of clients) await client.subscribe('t2')
  const publish = (node: Relay, n: number): Promise<unknown> =>
    call(node, server, '/v1/publish', { to: { thread: 't2' }, type: 'm', data: n })
  await Promise.all(Array.from({ length: 200 }, (_, n) => publish(n % 2 === 0 ? a : b, n)))
  await until(() => clients.every(client => client.events().length === 200), { what: 'all events' })
  const [first, second] = clients.map(client => client.raw.filter(text => text.startsWith('{"op":"event"')))
  t.same(first, second)
})

await t.test('the left-out connection is known on the node that owns it, whichever node published', async t => {
  const token = acme.user('9', { t3: ['read'] })
  const poster = await Client.connect(t, b, token)
  const tab = await Client.connect(t, a, token)
  for (const client of [poster, tab]) await client.subscribe('t3')
  const except = poster.frames[0]!['connection'] as string
  await call(a, server, '/v1/publish', { to: { thread: 't3' }, type: 'm', data: 1, id: 'x', except })
  await until(() => poster.events().length === 1 && tab.events().length === 1, { what: 'the event' })
  t.match(poster.events()[0], { own: true, id: 'x', stamp: tab.events()[0]!['stamp'] })
  t.notOk('data' in poster.events()[0]!)
})

await t.test('the same id is one event, whichever node it is sent to', async t => {
  const body = { to: { thread: 't4' }, type: 'm', data: 1, id: 'once' }
  const first = await call(a, server, '/v1/publish', body)
  const again = await call(b, server, '/v1/publish', body)
  t.same(again.body, { ...first.body, duplicate: true })
})

await t.test('a reconnect to a node that follows the chains already asks Redis nothing', async t => {
  const token = acme.user('7', { r1: ['read'], r2: ['read'] })
  const first = await Client.connect(t, a, token)
  await first.subscribe('r1', 'r2')
  const commands = async (): Promise<string[]> => {
    const stats = await redis.cli('INFO', 'commandstats')
    return ['get', 'subscribe', 'hgetall'].map(name => new RegExp(`cmdstat_${name}:calls=\\d+`).exec(stats)?.[0] ?? '')
  }
  const connectAgain = async (): Promise<void> => {
    const again = await Client.connect(t, a, token)
    t.match(await again.subscribe('r1', 'r2'), {
      chains: { 'thread:r1': { state: 'new' }, 'thread:r2': { state: 'new' } },
    })
    again.socket.close()
    await again.expectClose()
  }
  // Every 10 s the nodes look at the eras: so once more if that was just now.
  await until(
    async () => {
      const before = await commands()
      for (let i = 0; i < 5; i++) await connectAgain()
      return (await commands()).join() === before.join()
    },
    { what: 'reconnects without a command' },
  )
})

await t.test('a node that is killed costs the other nothing, and its clients see what they missed', async t => {
  const doomed = await start()
  const token = acme.user('7', { t5: ['read'] })
  const client = await Client.connect(t, doomed, token)
  await client.subscribe('t5')
  const publish = async (): Promise<number> =>
    (await call(a, server, '/v1/publish', { to: { thread: 't5' }, type: 'm', data: 1 })).body.stamps['thread:t5']
  const seen = await publish()
  await until(() => client.events().length === 1, { what: 'the first event' })
  doomed.kill('SIGKILL')
  await client.expectClose()
  const back = await Client.connect(t, b, token)
  const since = { 'thread:t5': seen }
  t.match(await back.ask('subscribe', { threads: ['t5'], since }), { chains: { 'thread:t5': { state: 'current' } } })
  const missed = await publish()
  await back.ask('unsubscribe', { threads: ['t5'] })
  const again = await back.ask('subscribe', { threads: ['t5'], since })
  t.match(again['chains']['thread:t5'], { head: missed, state: 'behind' })
})

await t.test(
  'Redis goes away and comes back: sockets stay, clients are told, publishers are told, all heals',
  { timeout: 300_000 },
  async t => {
    const token = acme.user('7', { t6: ['read'], t7: ['read'] })
    const client = await Client.connect(t, b, token)
    await client.subscribe('t6')
    const body = { to: { thread: 't6' }, type: 'm', data: 1, id: 'during' }
    await redis.stop()
    await client.expect(frame => frame.op === 'status' && frame['bus'] === 'down', 'status down')
    const refused = await call(a, server, '/v1/publish', body)
    t.match(refused, { status: 503, body: { code: 'bus_down' } })
    t.ok(Number(refused.headers.get('retry-after')) > 0)
    t.match(await call(a, server, '/v1/publish/batch', { events: [body] }), { status: 503 })
    t.same(await (await fetch(`${a.admin}/readyz`)).json(), { ready: true, bus: 'down' })
    t.equal(await metric(a, 'bus_up'), 0)

    const during = await Client.connect(t, b, token)
    t.equal(during.frames[1]?.['bus'] ?? (await during.expect(frame => frame.op === 'status', 'status'))['bus'], 'down')
    t.match(during.frames[0]!['chains'], { user: { state: 'behind' }, site: { state: 'behind' } })
    t.match(await during.subscribe('t7'), { chains: { 'thread:t7': { state: 'behind', head: Number } } })

    await redis.restart()
    for (const one of [client, during])
      await one.expect(frame => frame.op === 'status' && frame['bus'] === 'up', 'status up')
    const gap = during.frames.find(frame => frame.op === 'gap' && 'thread:t7' in frame['chains'])
    t.ok(gap, 'whoever was answered during the outage is told to ask')
    // As an origin's outbox does: the same call with the same id, until it is answered.
    for (const thread of ['t6', 't7']) {
      const again = { ...body, to: { thread } }
      await until(async () => (await call(a, server, '/v1/publish', again)).status === 200, {
        what: 'node A to publish',
      })
    }
    await until(() => client.events().length === 1 && during.events().length === 1, {
      what: 'events on old and new subscriptions',
    })
    t.same(await (await fetch(`${a.admin}/readyz`)).json(), { ready: true, bus: 'up' })
  },
)

await t.test(
  'a node that finds no Redis starts, serves, says so, and joins when Redis comes',
  { timeout: 300_000 },
  async t => {
    const late = await startRedis(t)
    await late.stop()
    const node = await startRelay(t, acme.entry(), { THROUGHLINE_BUS: late.url })
    const client = await Client.connect(t, node, acme.user('7'))
    await client.expect(frame => frame.op === 'status' && frame['bus'] === 'down', 'status down')
    await late.restart()
    await client.expect(frame => frame.op === 'status' && frame['bus'] === 'up', 'status up')
    await call(node, server, '/v1/publish', { to: { users: ['7'] }, type: 'm', data: 1 })
    await until(() => client.events().length === 1, { what: 'the event' })
  },
)

function broken(events: readonly Frame[], head: number): Frame | undefined {
  let last = head
  for (const event of events) {
    if (event['prev'] !== last || event['stamp'] <= last) return event
    last = event['stamp'] as number
  }
  return undefined
}
