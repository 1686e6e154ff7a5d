/** Origins that are down, for themselves and for others (DESIGN §10): what arrives afterwards, and that others are not held up. */
import type { ServerResponse } from 'node:http'
import { t, type Test } from 'tap'
import { CallbackOrigin } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const acme = new Site('acme')
const ALLOW = { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' }
const USERS = 300
const THREADS = 30

async function queueOf(relay: Relay): Promise<any> {
  return (await fetch(`${relay.admin}/callbacks?site=acme`)).json()
}

/** Tells the last state of each user and thread that an origin was told of, and how often it was told of each. */
function statesOf(told: CallbackOrigin['told']): Map<string, { last: string; times: number }> {
  const states = new Map<string, { last: string; times: number }>()
  for (const { type, user, thread } of told.flatMap(({ events }) => events)) {
    const name = user === undefined ? `thread ${thread}` : `user ${user}`
    states.set(name, { last: type, times: (states.get(name)?.times ?? 0) + 1 })
  }
  return states
}

async function isOnline(relay: Relay): Promise<Record<string, boolean>> {
  const users = Array.from({ length: USERS }, (_, i) => `u${i}`)
  return (await call(relay, acme.server(), '/v1/presence/online', { users })).body.online
}

/** Has everybody come before the outage, and come and go in it; then compares what the origin was told with what is. */
async function outage(t: Test, bus: string): Promise<void> {
  const origin = await CallbackOrigin.start(t)
  const sites = acme.entry({ callback: { url: origin.url, events: ['user.*', 'thread.*'] } })
  const relay = await startRelay(t, sites, { ...ALLOW, THROUGHLINE_BUS: bus })
  const come = async (i: number): Promise<Client> => {
    const thread = `t${i % THREADS}`
    const client = await Client.connect(t, relay, acme.user(`u${i}`, { [thread]: ['read'] }))
    await client.subscribe(thread)
    return client
  }
  const numbers = Array.from({ length: USERS }, (_, i) => i)
  const clients = await Promise.all(numbers.map(come))
  const online = async (count: number): Promise<void> => {
    await until(async () => Object.values(await isOnline(relay)).filter(Boolean).length === count, {
      what: () => `${count} users online`,
    })
  }
  await online(USERS)
  await until(() => statesOf(origin.told).size === USERS + THREADS, { what: 'all to have been told of' })
  await until(async () => (await queueOf(relay)).state === 'idle', { what: 'an empty queue' })

  await origin.stop()
  const before = origin.told.length
  // Of each three users one stays, reloading its page; one goes for good; one goes and comes back. Some threads are left by all.
  const stays = numbers.filter(i => i % 3 === 0)
  for (const i of numbers) clients[i]!.socket.close()
  await Promise.all(stays.map(async i => (clients[i] = await come(i))))
  await online(stays.length)
  await Promise.all(numbers.filter(i => i % 3 === 1).map(async i => (clients[i] = await come(i))))
  await online(stays.length * 2)
  for (let round = 0; round < 3; round++) {
    for (const i of stays) {
      await clients[i]!.ask('unsubscribe', { threads: [`t${i % THREADS}`] })
      if (round < 2 || i % THREADS < 15) await clients[i]!.subscribe(`t${i % THREADS}`)
    }
  }
  const countOf = async (thread: string): Promise<number> => {
    const headers = { authorization: `Bearer ${acme.server()}` }
    const answer = await fetch(`${relay.api}/v1/threads/${thread}/presence`, { headers })
    return ((await answer.json()) as { count: number }).count
  }
  // Thread n has users of the same rest by three as n.
  const expected = (n: number): number => (n % 3 === 2 || (n % 3 === 0 && n >= 15) ? 0 : USERS / THREADS)
  const threads = Array.from({ length: THREADS }, (_, n) => n)
  await until(
    async () => {
      const counts = await Promise.all(threads.map(n => countOf(`t${n}`)))
      return counts.every((count, n) => count === expected(n))
    },
    { what: 'the last to have gone' },
  )
  t.match(await queueOf(relay), { state: 'waiting', last_error: { message: /^connect: / } })

  await origin.start()
  await call(relay, acme.server(), '/v1/callbacks/retry', {})
  await until(async () => (await queueOf(relay)).state === 'idle', { what: 'an empty queue' })
  const truth = new Map<string, string>()
  for (const [user, is] of Object.entries(await isOnline(relay))) {
    truth.set(`user ${user}`, is ? 'user.online' : 'user.offline')
  }
  for (const n of threads) truth.set(`thread t${n}`, expected(n) > 0 ? 'thread.occupied' : 'thread.vacated')
  const after = statesOf(origin.told.slice(before))
  const wrong = [...after].filter(([name, { last, times }]) => times > 1 || last !== truth.get(name))
  t.same(wrong, [], `${bus}: at most one state of each, and each of them true`)
  t.ok(after.size >= USERS / 3 + THREADS / 2)
  const believed = statesOf(origin.told)
  t.same(
    [...truth].filter(([name, state]) => believed.get(name)?.last !== state),
    [],
    `${bus}: the origin knows all that is`,
  )
}

await t.test('after an outage an origin is told one state of each user and thread, and knows all that is', async t => {
  const redis = await startRedis(t)
  await Promise.all(['memory', redis.url].map(bus => outage(t, bus)))
})

await t.test('500 origins that do not answer hold up no other, be they new or known to fail', async t => {
  const open: ServerResponse[] = []
  const silent = await CallbackOrigin.start(t, response => void open.push(response))
  const origin = await CallbackOrigin.start(t)
  const dead = Array.from({ length: 500 }, (_, i) => new Site(`dead-${i}`))
  const entries = dead.map(site =>
    site.entry({ callback: { url: `${silent.url}?${site.id}`, events: ['user.online'] } }),
  )
  const mine = acme.entry({ callback: { url: origin.url, events: ['call.*'], data: true } })
  const relay = await startRelay(t, Object.assign({}, mine, ...entries) as object, ALLOW)
  const client = await Client.connect(t, relay, acme.user('7', { 1: ['send'] }))
  const tells = async (data: number): Promise<void> => {
    await client.ask('send', { thread: '1', type: 'call.n', data })
    await until(() => origin.events.some(event => event.data === data), { what: `call ${data}` })
  }
  await Promise.all(dead.map(site => Client.connect(t, relay, site.user('1'))))
  await until(() => open.length === 500, { what: 'a request to each' })
  await tells(1)
  t.equal(silent.most, 500, 'while all of them were out')
  for (const response of open.splice(0)) response.writeHead(503).end()
  // Known to fail now, they have as many slots, and no more.
  await until(() => open.length === 256, { what: 'as many repeats as may be out' })
  await tells(2)
  t.equal(open.length, 256)
})
