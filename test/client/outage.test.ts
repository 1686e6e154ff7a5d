/** What befalls real relays and networks, and that a page is whole after it. */
import { type Test, t } from 'tap'
import { MessengerOrigin } from '../support/messenger-origin.ts'
import { startRedis } from '../support/redis.ts'
import { call, type Relay, Site, startRelay } from '../support/relay.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'
import { openPage, type Page } from './page.ts'

t.setTimeout(300_000)

const site = new Site('acme')

interface Place {
  readonly origin: MessengerOrigin
  readonly proxy: TcpProxy
  readonly url: string
  relay: Relay | undefined
}

const addressOf = (relay: Relay) => ({ host: '127.0.0.1', port: Number(new URL(relay.ws).port) })

/** A relay behind a network that can be spoilt. */
async function open(t: Test, environment: Record<string, string> = {}): Promise<Place> {
  const relay = await startRelay(t, site.entry(), environment)
  const proxy = await TcpProxy.open(t, addressOf(relay))
  const place: Place = {
    relay,
    proxy,
    url: `ws://127.0.0.1:${proxy.port}/v1/ws`,
    origin: await MessengerOrigin.open(t, { site, relay: () => place.relay }),
  }
  return place
}

const published = (origin: MessengerOrigin) => until(() => origin.waiting === 0, { what: 'everything to be published' })
const state = (page: Page, wanted: string) =>
  until(() => page.relay.state === wanted, { what: () => `${wanted}; it was ${page.states.join(' ')}` })
const whole = (page: Page, origin: MessengerOrigin, chain: string) =>
  until(() => page.ids(chain).length >= origin.ids(chain).length, { what: () => page.ids(chain).join(' ') })

await t.test(
  'with the relay gone a page polls, and is live again when it is back: each message once, in order',
  async t => {
    const place = await open(t)
    const { origin, proxy, url } = place
    const page = openPage(t, origin, url, { threads: ['1'] })
    await page.relay.ready
    for (let n = 0; n < 3; n++) origin.save('thread:1', n)
    await whole(page, origin, 'thread:1')
    place.relay!.kill('SIGKILL')
    place.relay = undefined
    await state(page, 'polling')
    for (let n = 0; n < 5; n++) origin.save('thread:1', n)
    await whole(page, origin, 'thread:1')
    t.equal(page.events.at(-1)!.from, 'fetched')
    t.ok(origin.questions.some(({ path }) => path === '/poll'))
    origin.answers = false
    await state(page, 'offline')
    origin.answers = true
    await state(page, 'polling')
    place.relay = await startRelay(t, site.entry())
    proxy.switchTo(addressOf(place.relay))
    await published(origin)
    await state(page, 'live')
    const polls = origin.questions.length
    origin.save('thread:1', 'live')
    await whole(page, origin, 'thread:1')
    t.same(page.ids('thread:1'), origin.ids('thread:1'))
    t.equal(page.events.at(-1)!.from, 'live')
    t.equal(origin.questions.length, polls, 'polling has stopped')
  },
)

await t.test(
  'a reconnect after which nothing is missing asks nothing; one after which something is asks once',
  async t => {
    const { origin, proxy, url } = await open(t)
    const page = openPage(t, origin, url, { threads: ['1', '2'], poll: false })
    await page.relay.ready
    origin.save('thread:1', 1)
    await whole(page, origin, 'thread:1')
    const asked = origin.questions.length
    proxy.cut()
    await state(page, 'offline')
    await state(page, 'live')
    t.equal(origin.questions.length, asked)
    proxy.part()
    await state(page, 'offline')
    origin.save('thread:1', 2)
    origin.save('thread:1', 3)
    await published(origin)
    proxy.mend()
    await whole(page, origin, 'thread:1')
    t.match(origin.questions.slice(asked), [{ path: '/since', chains: { 'thread:1': { after: 'thread.1.1' } } }])
    t.equal(origin.questions.length, asked + 1)
    t.same(page.ids('thread:1'), origin.ids('thread:1'))
  },
)

await t.test('while the bus is down a page polls, and after it asks for what it has a gap for', async t => {
  const redis = await startRedis(t)
  const { origin, url } = await open(t, { THROUGHLINE_BUS: redis.url })
  const page = openPage(t, origin, url, { threads: ['1'] })
  await page.relay.ready
  origin.save('thread:1', 1)
  await whole(page, origin, 'thread:1')
  const { connection } = page.relay
  await redis.stop()
  await state(page, 'polling')
  t.equal(page.relay.connection, connection, 'the connection stays')
  origin.save('thread:1', 2)
  await whole(page, origin, 'thread:1')
  await redis.restart()
  await state(page, 'live')
  await published(origin)
  origin.save('thread:1', 3)
  await whole(page, origin, 'thread:1')
  await state(page, 'live')
  t.same(page.ids('thread:1'), origin.ids('thread:1'))
})

await t.test('a relay that ends sends its pages away before, at their own moments', async t => {
  const place = await open(t, { THROUGHLINE_DRAIN_SECONDS: '3' })
  const { origin, proxy, url } = place
  const page = openPage(t, origin, url, { threads: ['1'] })
  await page.relay.ready
  const old = place.relay!
  place.relay = await startRelay(t, site.entry())
  // Links that are open stay where they are.
  proxy.redirect(addressOf(place.relay))
  const { connection } = page.relay
  old.kill('SIGTERM')
  await until(() => page.relay.connection !== connection, { what: 'the page to leave' })
  await state(page, 'live')
  origin.save('thread:1', 1)
  await whole(page, origin, 'thread:1')
  t.equal(await old.exit, 0)
  t.same(page.errors, [])
})

await t.test(
  '200 drops while messages are published: each once and in order, and the account that ends is sent away',
  async t => {
    const { origin, proxy, url, relay } = await open(t)
    const page = openPage(t, origin, url, { threads: ['1', '2'] })
    const ended = openPage(t, origin, url, { user: '9', threads: ['1'] })
    await Promise.all([page.relay.ready, ended.relay.ready])
    let closed: unknown
    ended.relay.on('closed', ({ code, message }) => {
      closed = { code, message }
    })
    for (let drop = 0; drop < 200; drop++) {
      origin.save('thread:1', drop)
      if (drop % 3 === 0) origin.save('thread:2', drop)
      if (drop % 7 === 0) origin.save('user:7', drop)
      // Some right now, some after the page has said hello, some when it is live again.
      if (drop % 2 === 0) await until(() => page.relay.connection !== undefined, { what: 'a connection' })
      if (drop % 5 === 0) await state(page, 'live')
      proxy.cut()
      // The back-off would take an hour.
      page.relay.reconnect()
      if (drop === 100) {
        // Each call reaches only who is connected just then, and this page waits long between its tries by now.
        const end = (): ReturnType<typeof call> =>
          call(relay!, site.server(), '/v1/users/9/disconnect', { reason: 'the account was closed' })
        await until(async () => (await end()).status === 200 && closed, { ms: 60_000, what: 'the end' })
        t.same(closed, { code: 'disconnected', message: 'the account was closed' })
      }
    }
    await published(origin)
    await state(page, 'live')
    for (const chain of ['thread:1', 'thread:2']) {
      await whole(page, origin, chain)
      t.same(page.ids(chain), origin.ids(chain))
    }
    await until(() => page.ids('user').length === origin.ids('user:7').length, { what: 'the last of its own' })
    t.same(page.ids('user'), origin.ids('user:7'))
    t.equal(ended.relay.state, 'offline')
    await t.rejects(ended.relay.refresh(), { code: 'closed' })
  },
)
