/** Events of clients: typing, read marks, call signalling (DESIGN §5, CONTRACT 21). */
import t from 'tap'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const redis = await startRedis(t)
const acme = new Site('acme')
const globex = new Site('globex')
const strict = new Site('strict')
const sites = {
  ...acme.entry(),
  ...globex.entry(),
  ...strict.entry({ types: ['wave', 'x.*'], limits: { send_per_second: 5 } }),
}
const start = (): Promise<Relay> => startRelay(t, sites, { THROUGHLINE_BUS: redis.url })
const [a, b] = await Promise.all([start(), start()])

async function join(node: Relay, sub: string, thread: string, perms = ['read', 'send'], site = acme): Promise<Client> {
  const client = await Client.connect(t, node, site.user(sub, { [thread]: perms }))
  await client.subscribe(thread)
  return client
}

const idOf = (client: Client): string => client.frames[0]!['connection'] as string

await t.test('what a client sends reaches the others of the thread on every node, and not itself', async t => {
  const sender = await join(a, '7', 's1')
  const others = [await join(a, '7', 's1'), await join(a, '8', 's1'), await join(b, '9', 's1')]
  const elsewhere = [await join(b, '9', 's2'), await join(b, '7', 's1', ['read'], globex)]
  sender.send('{"op":"send","id":5,"thread":"s1","type":"typing","data":{"n":12345678901234567890, "a" : 1e2}}')
  t.same(await sender.expect(({ op }) => op === 'sent', 'sent'), { op: 'sent', id: 5 })
  for (const other of others) {
    const event = await other.expect(({ op }) => op === 'event', 'the event')
    t.match(event, {
      type: 'typing',
      thread: 's1',
      sender: { user: '7', connection: idOf(sender) },
      at: Number,
      id: String,
    })
    for (const field of ['chain', 'stamp', 'prev']) t.notOk(field in event)
    t.match(other.raw.at(-1), '"data":{"n":12345678901234567890, "a" : 1e2}}', 'byte for byte')
  }
  for (const client of [sender, ...elsewhere]) t.same(client.events(), [])
  t.equal(await metric(a, 'events_published_total{source="client"}'), 1)
})

await t.test('the sender needs not be subscribed, data may be left out, and nobody can forge a sender', async t => {
  const other = await join(b, '8', 's3')
  const sender = await Client.connect(t, a, acme.user('7', { s3: ['send'] }))
  sender.send({ op: 'send', thread: 's3', type: 'read', sender: { user: '1' }, stamp: 5, chain: 'thread:s3' })
  const event = await other.expect(({ op }) => op === 'event', 'the event')
  t.match(event, { data: null, sender: { user: '7' } })
  t.notOk('stamp' in event)
  t.notOk(
    sender.frames.some(({ op }) => op === 'sent'),
    'without an id there is no answer',
  )
})

await t.test('to: only that user, or only that connection, and only who is subscribed to the thread', async t => {
  const sender = await join(a, '7', 's4')
  const tab = await join(b, '7', 's4')
  const eights = [await join(a, '8', 's4'), await join(b, '8', 's4')]
  const outside = await join(b, '8', 's5', ['read', 'send'])
  const nine = await join(b, '9', 's4')
  const foreign = await join(b, '8', 's4', ['read'], globex)
  t.match(await sender.ask('send', { thread: 's4', type: 'call.offer', to: { user: 8 }, data: 1 }), { op: 'sent' })
  for (const client of eights) t.match(await client.expect(({ op }) => op === 'event', 'the event'), { data: 1 })
  t.match(await sender.ask('send', { thread: 's4', type: 'call.offer', to: { user: '7' }, data: 2 }), { op: 'sent' })
  t.match(await tab.expect(({ op }) => op === 'event', 'to the own other tab'), { data: 2 })
  t.match(await sender.ask('send', { thread: 's4', type: 'x', to: { connection: idOf(nine) } }), {
    code: 'type_not_allowed',
  })
  for (const target of [idOf(nine), idOf(outside), idOf(foreign), 'nobody.0']) {
    const to = { connection: target }
    t.match(await sender.ask('send', { thread: 's4', type: 'signal.ice', to, data: 3 }), { op: 'sent' }, target)
  }
  t.match(await nine.expect(({ op }) => op === 'event', 'to the connection'), { data: 3 })
  t.match(await sender.ask('send', { thread: 's4', type: 'typing', data: 4 }), { op: 'sent' })
  await until(() => nine.events().length === 2, { what: 'the last event' })
  t.same(
    eights.map(client => client.events().length),
    [2, 2],
  )
  for (const client of [outside, foreign, sender]) t.same(client.events(), [])
})

await t.test('what may not be sent is refused by name, and the connection stays', async t => {
  const client = await Client.connect(t, a, acme.user('7', { r1: ['read'], r2: ['send'], r3: [] }))
  const good = { thread: 'r2', type: 'typing', data: 1 }
  const cases: [fields: object, code: string][] = [
    [{ ...good, thread: 'r1' }, 'permission_missing'],
    [{ ...good, thread: 'r3' }, 'permission_missing'],
    [{ ...good, thread: 'r9' }, 'thread_not_allowed'],
    [{ ...good, thread: 'a/b' }, 'bad_id'],
    [{ ...good, thread: undefined }, 'bad_id'],
    [{ ...good, type: 'message' }, 'type_not_allowed'],
    [{ ...good, type: 'call' }, 'type_not_allowed'],
    [{ ...good, type: 'call.' }, 'type_not_allowed'],
    [{ ...good, type: 'callx.y' }, 'type_not_allowed'],
    [{ ...good, type: 'a b' }, 'bad_field'],
    [{ ...good, type: 1 }, 'bad_field'],
    [{ ...good, to: {} }, 'bad_target'],
    [{ ...good, to: '8' }, 'bad_target'],
    [{ ...good, to: { user: '8', connection: 'x' } }, 'bad_target'],
    [{ ...good, to: { user: 'no id' } }, 'bad_target'],
    [{ ...good, to: { thread: 'r2' } }, 'bad_target'],
    [{ ...good, data: 'x'.repeat(16_383) }, 'too_large'],
  ]
  for (const [fields, code] of cases) {
    t.match(await client.ask('send', fields), { op: 'error', code }, `${JSON.stringify(fields).slice(0, 70)} ${code}`)
  }
  t.match(await client.ask('send', { ...good, data: 'x'.repeat(16_382) }), { op: 'sent' }, '16 KiB are allowed')
})

await t.test('a site has types and a rate of its own', async t => {
  const other = await join(b, '8', 'o', ['read'], strict)
  const client = await join(a, '7', 'o', ['send', 'read'], strict)
  t.match(await client.ask('send', { thread: 'o', type: 'typing' }), { code: 'type_not_allowed' })
  for (const type of ['wave', 'x.y.z']) t.match(await client.ask('send', { thread: 'o', type }), { op: 'sent' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.ask('send', { thread: 'o', type: 'wave' })))
  const refused = answers.filter(({ op }) => op === 'error')
  t.ok(refused.length >= 10, `${refused.length} of 20 were refused`)
  t.ok(refused.every(({ code, retry_after }) => code === 'rate_limited' && retry_after >= 1))
  await until(() => other.events().length === 2 + 20 - refused.length, { what: 'those that were sent, and no others' })
  t.equal(client.closed, undefined)
  t.equal(await metric(a, 'rate_limited_total{kind="sends"}'), refused.length)
})

await t.test('a call of two people on two nodes: every frame arrives, in order', async t => {
  const [caller, callee] = [await join(a, '1', 'c'), await join(b, '2', 'c')]
  const FRAMES = 400
  const speak = async (client: Client, user: string): Promise<void> => {
    for (let n = 0; n < FRAMES; n++) {
      client.send({
        op: 'send',
        thread: 'c',
        type: 'signal.candidate',
        to: { user },
        data: { n, sdp: 'x'.repeat(200) },
      })
      // About 200 a second.
      if (n % 2 === 1) await new Promise(resolve => setTimeout(resolve, 10))
    }
  }
  await Promise.all([speak(caller, '2'), speak(callee, '1')])
  for (const client of [caller, callee]) {
    await until(() => client.events().length === FRAMES, {
      what: () =>
        `all frames; ${client.events().length} came, ${JSON.stringify(client.frames.filter(({ op }) => op === 'error').slice(0, 2))} ${client.frames.filter(({ op }) => op === 'error').length}`,
    })
    t.same(
      client.events().map(event => event['data'].n as number),
      Array.from({ length: FRAMES }, (_, n) => n),
    )
  }
})

await t.test('typing in a thread of 1,000 is one publish on the bus, and no key in Redis', async t => {
  const members = await Promise.all(
    Array.from({ length: 40 }, (_, i) => join(i % 2 === 0 ? a : b, `m${i}`, 'big', ['read'])),
  )
  const sender = await join(a, '7', 'big')
  const present = async (): Promise<number> => {
    const headers = { authorization: `Bearer ${acme.server()}` }
    return ((await (await fetch(`${a.api}/v1/threads/big/presence`, { headers })).json()) as { count: number }).count
  }
  await until(async () => (await present()) === 41, { what: 'all joins to be told' })
  const keys = await redis.cli('DBSIZE')
  const calls = async (): Promise<number> =>
    Number(/cmdstat_publish:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))?.[1])
  const ticks = 12
  const before = await calls()
  for (let n = 0; n < 50; n++) await sender.ask('send', { thread: 'big', type: 'typing' })
  const published = (await calls()) - before
  t.ok(published >= 50 && published <= 50 + ticks, `${published} publishes for 50 events and some ticks`)
  for (const member of members) await until(() => member.events().length === 50, { what: 'all events' })
  t.equal(await redis.cli('DBSIZE'), keys)
})

await t.test('while the bus is down a send says so', async t => {
  const client = await join(a, '7', 'down')
  await redis.stop()
  await client.expect(({ op, bus }) => op === 'status' && bus === 'down', 'status down')
  t.match(await client.ask('send', { thread: 'down', type: 'typing' }), { op: 'error', code: 'bus_down' })
  await redis.restart()
  await client.expect(({ op, bus }) => op === 'status' && bus === 'up', 'status up')
  t.match(await client.ask('send', { thread: 'down', type: 'typing' }), { op: 'sent' })
  t.equal((await call(a, acme.server(), '/v1/publish', { to: { thread: 'down' }, type: 'm', data: 1 })).status, 200)
})
