/** What a relay seldom says, or only after a minute: said by a fake one, so that a page's answer to it can be seen. */
import { connect, type Relay } from '@throughline/client'
import { type Test, t } from 'tap'
import { WebSocket } from 'ws'
import { until } from '../support/until.ts'
import { FakeRelay } from './fake-relay.ts'

t.setTimeout(300_000)

interface Seen {
  readonly relay: Relay
  readonly fake: FakeRelay
  readonly events: unknown[]
  readonly errors: string[]
  readonly closed: { code: string; message: string }[]
  readonly asked: unknown[]
}

type Options = Partial<Parameters<typeof connect>[0]>

async function open(t: Test, options: Options = {}, prepare: (fake: FakeRelay) => void = () => {}): Promise<Seen> {
  const fake = await FakeRelay.open(t)
  prepare(fake)
  const asked: unknown[] = []
  const fetchSince = (chains: object): [] => {
    asked.push(chains)
    return []
  }
  const relay = connect({ url: fake.url, token: 'a token', fetchSince, poll: false, WebSocket, ...options })
  t.teardown(() => relay.close())
  const seen: Seen = { relay, fake, asked, events: [], errors: [], closed: [] }
  relay.on('event', event => seen.events.push(event))
  relay.on('error', ({ code }) => seen.errors.push(code))
  relay.on('closed', ({ code, message }) => seen.closed.push({ code, message }))
  return seen
}

const place = (stamp: number, prev: number) => ({ op: 'event', chain: 'user', stamp, prev, id: `e${stamp}`, type: 'm' })

await t.test('frames that are none do no harm', async t => {
  const { relay, fake, events, errors, asked } = await open(t, { since: { user: 1, site: 1 } })
  relay.subscribe('1', { since: 1, presence: true })
  await relay.ready
  const wrong = [
    '',
    'null',
    '[]',
    '{"op":1}',
    '{',
    { op: 'event' },
    { op: 'event', id: 1, type: 'm' },
    { op: 'event', id: 'x', own: true },
    { ...place(2, 1), stamp: '2' },
    { ...place(2, 1), prev: null },
    { ...place(2, 1), chain: 7 },
    { op: 'gap' },
    { op: 'gap', chains: { user: 'now' } },
    { op: 'subscribed', id: 1, chains: { 'thread:1': null } },
    { op: 'connected', id: 1 },
    { op: 'presence', thread: '1', count: 1, joined: [null] },
    { op: 'members', thread: '1' },
  ]
  for (const frame of wrong) {
    const before = errors.length
    fake.say(frame)
    await until(() => errors.length > before, { what: () => `an error about ${JSON.stringify(frame)}` })
  }
  t.same([...new Set(errors)], ['bad_frame'])
  // What is not known yet, or is about others.
  fake.say({ op: 'later' }, { op: 'constructor' }, { op: '__proto__' }, { op: 'gap', chains: { 'thread:9': 4 } })
  fake.say({ op: 'presence', thread: '9', count: 1, joined: [{ user: '__proto__' }] }, { op: 'sent', id: 99 })
  fake.say({ ...place(5, 4), chain: 'thread:9' }, '{"op":"online","users":{"__proto__":true}}')
  fake.say(place(2, 1))
  await until(() => events.length === 1, { what: 'the event after all of it' })
  t.match(events, [{ id: 'e2', data: null }])
  t.same(asked, [])
  t.equal(relay.state, 'live')
  t.equal(fake.opened.length, 1)
})

await t.test('an event that comes twice, or too late, is given once', async t => {
  const { fake, relay, events, asked } = await open(t, { since: { user: 1, site: 1 } })
  await relay.ready
  fake.say(place(2, 1), place(2, 1), place(1, 0), place(3, 2), { ...place(4, 3), id: 'e2' }, place(5, 4))
  await until(() => events.length === 3, { what: 'three events' })
  t.match(events, [{ id: 'e2' }, { id: 'e3' }, { id: 'e5' }])
  t.same(asked, [])
})

await t.test('an event whose place does not fit is shown after the answer to the one question about it', async t => {
  const fetched = { id: 'e2', type: 'm', chain: 'user' }
  const answers: (() => void)[] = []
  const fetchSince = () =>
    new Promise<[typeof fetched]>(resolve => {
      answers.push(() => resolve([fetched]))
    })
  const { fake, relay, events } = await open(t, { since: { user: 1, site: 1 }, fetchSince })
  await relay.ready
  fake.say(place(3, 2))
  await until(() => answers.length === 1, { what: 'the question' })
  t.equal(relay.state, 'catching-up')
  fake.say(place(4, 3))
  fake.say({ op: 'gap', chains: { user: 4 }, within: 0 }, place(5, 4))
  t.same(events, [])
  answers[0]!()
  await until(() => answers.length === 2, { what: 'the question about what the gap told meanwhile' })
  t.match(events, [{ id: 'e2', from: 'fetched' }])
  answers[1]!()
  await until(() => relay.state === 'live', { what: 'live' })
  t.match(events, [{ id: 'e2' }, { id: 'e3' }, { id: 'e4' }, { id: 'e5', from: 'live' }])
})

await t.test('a failed question is asked again, and the application hears why', async t => {
  let tries = 0
  const fetchSince = (): [] => {
    if (++tries < 3) throw new Error('the database is away')
    return []
  }
  const { relay, errors } = await open(t, { fetchSince }, fake => {
    fake.onframe = (frame, socket) => {
      if (frame.op !== 'connect') return false
      const chains = { user: { head: 1, state: 'behind', within: 50 }, site: { head: 1, state: 'new' } }
      const more = { connection: 'c', user: '7', expires: 9e9, heartbeat: 25, chains }
      socket.send(JSON.stringify({ op: 'connected', id: frame.id, ...more }))
      return true
    }
  })
  await relay.ready
  t.equal(tries, 3)
  t.same(errors, ['fetch_callback', 'fetch_callback'])
})

await t.test('4403 and 4410 are final', async t => {
  for (const code of [4403, 4410]) {
    const { fake, relay, closed } = await open(t, { since: { user: 1, site: 1 } })
    await relay.ready
    if (code === 4403) fake.say({ op: 'error', code: 'licence_revoked', message: 'this licence was revoked' })
    fake.hangUp(code, 'a reason')
    await until(() => closed.length === 1, { what: 'the end' })
    const error =
      code === 4403
        ? { code: 'licence_revoked', message: 'this licence was revoked' }
        : { code: 'disconnected', message: 'a reason' }
    t.same(closed, [error])
    t.equal(relay.state, 'offline')
    await t.rejects(relay.presence('1'), { code: 'closed' })
    await t.rejects(relay.subscribe('1').ready, { code: 'closed' })
  }
})

await t.test('any other ending is followed by another connection', async t => {
  for (const code of [1000, 4400, 4408, 4413, 4429, 4503, 4999]) {
    const { fake, relay, closed } = await open(t, { since: { user: 1, site: 1 } })
    await relay.ready
    fake.hangUp(code)
    await until(() => fake.opened.length === 2 && relay.state === 'live', { what: `another one after ${code}` })
    t.same(closed, [])
    relay.close()
  }
})

await t.test('retry_after is waited for', async t => {
  const { fake, relay, errors } = await open(t, { since: { user: 1, site: 1 } })
  await relay.ready
  fake.say({ op: 'error', code: 'rate_limited', message: 'too much', retry_after: 2 })
  fake.hangUp(4429)
  await until(() => fake.opened.length === 2, { what: 'another connection' })
  t.ok(fake.opened[1]! - fake.opened[0]! >= 1900)
  t.same(errors, ['rate_limited'])
})

await t.test('a token that is refused is asked for once more; a second refusal is final', async t => {
  let tokens = 0
  const { fake, relay, closed } = await open(t, { token: () => `token ${++tokens}` }, fake => {
    fake.onframe = ({ id }, socket) => {
      socket.send(JSON.stringify({ op: 'error', id, code: 'token_expired', message: 'the token has expired' }))
      socket.close(4401, 'token_expired')
      return true
    }
  })
  await t.rejects(relay.ready, { code: 'token_expired' })
  t.equal(tokens, 2)
  t.same(
    fake.frames.map(({ token }) => token),
    ['token 1', 'token 2'],
  )
  t.match(closed, [{ code: 'token_expired', message: 'the token has expired' }])
})

await t.test('the same token again is not tried again', async t => {
  const { fake, relay } = await open(t, {}, fake => {
    fake.onframe = (_, socket) => {
      socket.close(4401, 'token_signature')
      return true
    }
  })
  await t.rejects(relay.ready, { code: 'closed', message: 'token_signature' })
  t.equal(fake.frames.length, 1)
})

await t.test('a token is refreshed before it expires, and a page without one any more ends', async t => {
  let tokens = 0
  const token = () => (++tokens < 4 ? `token ${tokens}` : null)
  const { fake, relay, closed } = await open(t, { token }, fake => {
    fake.expiresIn = 3
  })
  await until(() => closed.length === 1, { what: 'the end' })
  t.match(closed, [{ code: 'token_callback' }])
  t.equal(fake.opened.length, 1)
  t.same(
    fake.frames.filter(({ op }) => op === 'refresh').map(({ token }) => token),
    ['token 2', 'token 3'],
  )
  await t.rejects(relay.refresh(), { code: 'closed' })
})

await t.test('a token callback that throws is asked again, and the application hears of it', async t => {
  let tries = 0
  const token = async () => {
    if (++tries === 1) throw new Error('no network')
    return { token: 'a token', licence: 'a licence' }
  }
  const { fake, relay, errors } = await open(t, { token, since: { user: 1, site: 1 } })
  await relay.ready
  t.same(errors, ['token_callback'])
  t.match(fake.frames[0], { op: 'connect', token: 'a token', licence: 'a licence' })
})

await t.test('a refused refresh is final', async t => {
  const { fake, relay, closed } = await open(t, { since: { user: 1, site: 1 } }, fake => {
    fake.onframe = ({ op, id }, socket) => {
      if (op !== 'refresh') return false
      socket.send(JSON.stringify({ op: 'error', id, code: 'token_user', message: 'another user' }))
      socket.close(4401, 'token_user')
      return true
    }
  })
  await relay.ready
  await t.rejects(relay.refresh(), { code: 'token_user' })
  await until(() => closed.length === 1, { what: 'the end' })
  t.match(closed, [{ code: 'token_user' }])
  t.equal(fake.opened.length, 1)
})

await t.test('a link on which nothing is heard for two and a half heartbeats is dropped', async t => {
  const { fake, relay } = await open(t, { since: { user: 1, site: 1 } }, fake => {
    fake.heartbeat = 1
  })
  await relay.ready
  const beats = setInterval(() => fake.say({ op: 'ping' }), 1000)
  t.teardown(() => clearInterval(beats))
  await until(() => Date.now() - fake.opened[0]! > 3500, { what: 'more than two and a half heartbeats' })
  t.equal(fake.opened.length, 1, 'pings keep it')
  clearInterval(beats)
  await until(() => fake.opened.length === 2, { what: 'another connection' })
})

await t.test('an unanswered call ends by itself, and so do those of a lost connection', async t => {
  const { fake, relay } = await open(t, { since: { user: 1, site: 1 } }, fake => {
    fake.onframe = ({ op }) => op === 'send'
  })
  await relay.ready
  const thread = relay.subscribe('1', { since: 1 })
  await thread.ready
  const lost = thread.send('typing')
  await until(() => fake.frames.at(-1)!.op === 'send', { what: 'the frame' })
  fake.hangUp(4503)
  await t.rejects(lost, { code: 'closed' })
  await t.rejects(thread.send('typing'), { code: 'not_connected' })
  await until(() => relay.state === 'live', { what: 'another connection' })
  await t.rejects(thread.send('typing'), { code: 'timeout' })
})

await t.test('drain moves the page to another connection inside its time', async t => {
  const { fake, relay } = await open(t, { since: { user: 1, site: 1 } })
  await relay.ready
  fake.say({ op: 'drain', within: 300 })
  await until(() => fake.opened.length === 2 && relay.state === 'live', { what: 'another connection' })
  await until(() => fake.sockets === 1, { what: 'the first one to be closed' })
})

await t.test('a page that closes while its question is on its way asks nothing more', async t => {
  let tries = 0
  const fetchSince = (): Promise<[]> => {
    tries++
    return new Promise(() => {})
  }
  const { relay, fake } = await open(t, { fetchSince, since: { user: 0, site: 1 } })
  await until(() => tries === 1, { what: 'the question' })
  relay.close()
  await until(() => fake.sockets === 0, { what: 'the end' })
  t.equal(tries, 1)
  await t.rejects(relay.ready, { code: 'closed' })
})
