/** What happens to a site's users reaches its origin: signed, in order, and in spite of failures (DESIGN §10). */
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { t, type Test } from 'tap'
import { CallbackOrigin, OK, status } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const acme = new Site('acme')
const globex = new Site('globex')
const ALLOW = { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' }
const EVENTS = ['user.online', 'user.offline', 'thread.*', 'event.delivered', 'call.*', 'typing']

const hooked = (site: Site, { url }: CallbackOrigin, more: object = {}): object =>
  site.entry({ callback: { url, events: EVENTS, ...more } })

async function queueOf(relay: Relay, site = acme): Promise<any> {
  const headers = { authorization: `Bearer ${site.server()}` }
  return (await fetch(`${relay.api}/v1/callbacks`, { headers })).json()
}

/** Connects someone who may send in thread 1, and sends events of these numbers. */
async function sender(t: Test, relay: Relay, site = acme): Promise<(...numbers: number[]) => Promise<void>> {
  const client = await Client.connect(t, relay, site.user('s', { 1: ['send'] }))
  return async (...numbers) => {
    for (const number of numbers) await client.ask('send', { thread: '1', type: 'call.n', data: number })
  }
}

const numbersIn = (origin: CallbackOrigin): unknown[] =>
  origin.events.filter(({ type }) => type === 'call.n').map(({ data }) => data)

await t.test('each kind of event comes in its form, signed, and nothing else', async t => {
  const origin = await CallbackOrigin.start(t)
  const secret = `whsec_${randomBytes(24).toString('base64')}`
  const relay = await startRelay(t, hooked(acme, origin, { secret }), ALLOW)
  const ada = await Client.connect(t, relay, acme.user('7', { 42: ['read', 'send'] }))
  await ada.subscribe('42')
  await ada.ask('send', { thread: '42', type: 'typing', data: { text: 'secret' } })
  await ada.ask('send', { thread: '42', type: 'read', data: 1 })
  const event = { to: { thread: '42' }, type: 'message', id: '1001', receipt_to: '8', data: { text: 'secret' } }
  await call(relay, acme.server(), '/v1/publish', event)
  const { receipt } = await ada.expect(({ id }) => id === '1001', 'the event')
  ada.send({ op: 'receipt', receipts: [receipt, receipt] })
  await until(() => origin.events.some(({ type }) => type === 'event.delivered'), { what: 'the receipt' })
  // Who comes and goes within a moment was never there.
  await until(() => origin.events.some(({ type }) => type === 'thread.occupied'), { what: 'the begin of the thread' })
  ada.send({ op: 'unsubscribe', threads: ['42'] })
  await until(() => origin.events.some(({ type }) => type === 'thread.vacated'), { what: 'the end of the thread' })
  ada.socket.close()
  await until(() => origin.events.length === 6, { what: () => JSON.stringify(origin.events) })

  const told = origin.events.map(({ id, at, ...rest }) => {
    t.match(id, /^[\w.-]+$/)
    t.ok(Math.abs(at - Date.now()) < 60_000)
    return rest
  })
  const byType = (type: string): object | undefined => told.find(event => event.type === type)
  t.same(byType('user.online'), { type: 'user.online', user: '7' })
  t.same(byType('thread.occupied'), { type: 'thread.occupied', thread: '42' })
  t.same(byType('typing'), { type: 'typing', thread: '42', user: '7' })
  const delivered = { type: 'event.delivered', thread: '42', data: { event: '1001', user: '7' } }
  t.same(byType('event.delivered'), delivered)
  t.same(byType('thread.vacated'), { type: 'thread.vacated', thread: '42' })
  t.same(byType('user.offline'), { type: 'user.offline', user: '7' })
  for (const { headers, body } of origin.told) {
    t.notMatch(body, 'secret')
    t.equal(new Webhook(secret).verify(body, headers as Record<string, string>)?.constructor, Object)
    t.match(headers, { 'content-type': 'application/json', 'user-agent': /^Throughline/, authorization: undefined })
  }
  t.same(await queueOf(relay), { state: 'idle', depth: 0 })
})

await t.test('data comes along if the site wants it, in ASCII', async t => {
  const origin = await CallbackOrigin.start(t)
  const relay = await startRelay(t, hooked(acme, origin, { data: true }), ALLOW)
  const ada = await Client.connect(t, relay, acme.user('7', { 42: ['send'] }))
  await ada.ask('send', { thread: '42', type: 'call.offer', data: { name: 'Zoë 🙂' } })
  await until(() => origin.events.some(({ type }) => type === 'call.offer'), { what: 'the call' })
  t.same(origin.events.find(({ type }) => type === 'call.offer')?.data, { name: 'Zoë 🙂' })
  t.match(origin.told.map(({ body }) => body).join(''), /^[\x20-\x7e]*$/)
})

await t.test(
  'two nodes tell a site one thing after the other, in batches; a failure is repeated with its id',
  async t => {
    const redis = await startRedis(t)
    const origin = await CallbackOrigin.start(t, (response, told, count) => {
      // Not the first alone, so that it is known to wait for what was asked.
      setTimeout(() => (count === 2 ? status(503, { 'retry-after': '2' }) : OK)(response, told, count), 30)
    })
    const environment = { ...ALLOW, THROUGHLINE_BUS: redis.url }
    const sites = hooked(acme, origin, { data: true })
    const relays = [await startRelay(t, sites, environment), await startRelay(t, sites, environment)]
    const [one, two] = [await sender(t, relays[0]!), await sender(t, relays[1]!)]
    const all = Array.from({ length: 240 }, (_, i) => i)
    for (let i = 0; i < 240; i += 40) {
      await one(...all.slice(i, i + 20))
      await two(...all.slice(i + 20, i + 40))
    }
    const repeated = () => origin.told.filter(({ id }) => id === origin.told[1]?.id)
    await until(() => new Set(numbersIn(origin)).size === 240 && repeated().length === 2, {
      ms: 30_000,
      what: () => `all; came ${origin.told.length} ${JSON.stringify(numbersIn(origin).slice(-3))}`,
    })
    t.equal(origin.most, 1)
    const [first, again] = repeated()
    t.equal(again?.body, first?.body)
    const taken = origin.told.filter((_, i) => i !== 1).flatMap(({ events }) => events)
    const numbers = taken.filter(({ type }) => type === 'call.n').map(({ data }) => data as number)
    t.equal(numbers.length, 240, 'each once')
    for (const half of [0, 1]) {
      const own = numbers.filter(n => Math.floor(n / 20) % 2 === half)
      t.same(
        own,
        own.toSorted((a, b) => a - b),
        'what one node told keeps its order',
      )
    }
    t.ok(origin.told.length < 60, 'batches')
  },
)

await t.test('an origin that does not answer holds up no other', async t => {
  const silent = await CallbackOrigin.start(t, () => {})
  const origin = await CallbackOrigin.start(t)
  const relay = await startRelay(t, { ...hooked(acme, silent), ...hooked(globex, origin, { data: true }) }, ALLOW)
  await Client.connect(t, relay, acme.user('7'))
  await until(() => silent.told.length === 1, { what: 'a request that is not answered' })
  const send = await sender(t, relay, globex)
  await send(1, 2, 3)
  await until(() => numbersIn(origin).length === 3, { what: 'the others' })
  t.equal(silent.told.length, 1)
  t.equal((await queueOf(relay)).state, 'delivering')
})

await t.test('what a node was telling when it was killed another tells, under the same id', async t => {
  const redis = await startRedis(t)
  const origin = await CallbackOrigin.start(t, () => {})
  const environment = { ...ALLOW, THROUGHLINE_BUS: redis.url }
  const sites = hooked(acme, origin, { data: true, events: ['call.*', 'user.offline'] })
  const dies = await startRelay(t, sites, environment)
  const lives = await startRelay(t, sites, environment)
  const send = await sender(t, dies)
  const isOnline = async (): Promise<boolean> =>
    (await call(lives, acme.server(), '/v1/presence/online', { users: ['s'] })).body.online.s
  await until(isOnline, { what: 'a user who is known' })
  await send(1, 2, 3)
  await until(() => numbersIn(origin).length === 3, { what: 'a request' })
  dies.kill('SIGKILL')
  origin.answer = OK
  await until(() => origin.told.length >= 2, { ms: 30_000, what: 'a repeat' })
  const [first, again] = origin.told
  t.same([again!.id, again!.body], [first!.id, first!.body])
  await until(() => origin.events.some(({ type }) => type === 'user.offline'), { ms: 30_000, what: 'its users' })
  await until(async () => (await queueOf(lives)).state === 'idle', { what: 'an empty queue' })
})

await t.test('an origin that was down is told the last state of each, and it is true', async t => {
  const origin = await CallbackOrigin.start(t)
  const relay = await startRelay(t, hooked(acme, origin), ALLOW)
  const threads = Array.from({ length: 20 }, (_, i) => String(i))
  const ada = await Client.connect(
    t,
    relay,
    acme.user('7', Object.fromEntries(threads.map(thread => [thread, ['read']]))),
  )
  await until(() => origin.events.length > 0, { what: 'the first event' })
  await origin.stop()
  for (let round = 0; round < 3; round++) {
    await ada.ask('subscribe', { threads })
    await until(async () => (await memberCount(relay, '19')) === 1, { what: 'the threads to be entered' })
    await ada.ask('unsubscribe', { threads: round === 2 ? threads.slice(10) : threads })
    await until(async () => (await memberCount(relay, '19')) === 0, { what: 'the threads to be left' })
  }
  const { state, depth, last_error, next_attempt } = await queueOf(relay)
  t.match([state, depth], ['waiting', 20])
  t.match(last_error.message, /^connect: /)
  t.ok(next_attempt > Date.now() - 10_000)
  const before = origin.told.length
  await origin.start()
  await call(relay, acme.server(), '/v1/callbacks/retry', {})
  await until(() => origin.events.filter(({ thread }) => thread !== undefined).length >= 20, { what: 'the threads' })
  await until(async () => (await queueOf(relay)).state === 'idle', { what: 'an empty queue' })
  const states = origin.told.slice(before).flatMap(({ events }) => events)
  t.equal(states.length, 20)
  t.same(
    Object.fromEntries(states.map(({ thread, type }) => [thread, type])),
    Object.fromEntries(threads.map(thread => [thread, Number(thread) < 10 ? 'thread.occupied' : 'thread.vacated'])),
  )
})

async function memberCount(relay: Relay, thread: string): Promise<number> {
  const headers = { authorization: `Bearer ${acme.server()}` }
  const answer = await fetch(`${relay.api}/v1/threads/${thread}/presence`, { headers })
  return ((await answer.json()) as { count: number }).count
}

await t.test('410 ends it until the origin asks again', async t => {
  const origin = await CallbackOrigin.start(t, status(410))
  const relay = await startRelay(t, hooked(acme, origin, { data: true }), ALLOW)
  const send = await sender(t, relay)
  await until(async () => (await queueOf(relay)).state === 'gone', { what: 'the end' })
  t.match(await queueOf(relay), { depth: 0, last_error: { message: 'the origin answered 410' } })
  origin.answer = OK
  await send(1)
  t.equal((await queueOf(relay)).depth, 0)
  await call(relay, acme.server(), '/v1/callbacks/retry', {})
  await send(2)
  await until(() => numbersIn(origin).length > 0, { what: 'the next' })
  t.same(numbersIn(origin), [2])
})

await t.test('a site without a callback has no queue, and a token without manage sees none', async t => {
  const origin = await CallbackOrigin.start(t)
  const relay = await startRelay(t, { ...acme.entry(), ...hooked(globex, origin) }, ALLOW)
  t.match(await queueOf(relay), { code: 'not_found', detail: /the site has no callback/ })
  const answer = await call(relay, globex.server({ scope: 'publish' }), '/v1/callbacks/retry', {})
  t.match(answer, { status: 403, body: { code: 'scope_missing' } })
})
