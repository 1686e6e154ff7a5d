import { createHmac } from 'node:crypto'
import { on } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Log } from '../../examples/chat/log.ts'
import { createOrigin } from '../../examples/chat/origin.ts'
import { Outbox } from '../../examples/chat/outbox.ts'
import { People } from '../../examples/chat/people.ts'
import { RelayApi } from '../../examples/chat/relay-api.ts'
import type { SecretKey } from '../../examples/chat/tokens.ts'
import { until } from '../support/until.ts'

// The demo's origin is there to be copied, so it must refuse what a real one must refuse.

const KEY: SecretKey = { kty: 'oct', alg: 'HS256', kid: 'k', k: 'c2VjcmV0' }
const SECRET = 'whsec_dGhlIGtleSBvZiBhIHRlc3Q='

const relay = createServer()
const api = new RelayApi('chat', KEY, await listen(relay, t))
/** What the origin has told the relay, in order. */
const told: Record<string, unknown>[] = []
relay.on('request', (request: IncomingMessage, response: ServerResponse) => {
  void request.toArray().then(chunks => {
    told.push(JSON.parse(chunks.join('')) as Record<string, unknown>)
    response.end(JSON.stringify({ stamps: { 'thread:u1.u2': 70 }, heads: { 'thread:u1.u2': 69, 'user:u1': 50 } }))
  })
})
const log = new Log()
const outbox = new Outbox(api, line => t.comment(line))
t.teardown(() => outbox.close())
let cuts = 0
const origin = createServer(
  createOrigin({
    site: 'chat',
    key: KEY,
    secret: SECRET,
    relay: 'ws://127.0.0.1:1',
    hasIce: false,
    people: new People(),
    log,
    api,
    outbox,
    cut: () => cuts++,
  }),
)
const link = await listen(origin, t)

await t.test('the origin refuses what is not as it should be, and says why', async t => {
  const authorization = await login('Carol')
  const cases: [
    call: string,
    headers: Record<string, string>,
    body: string | undefined,
    status: number,
    says: RegExp,
  ][] = [
    ['GET /token', {}, undefined, 401, /Log in/],
    ['GET /inbox', { authorization: 'Bearer nobody' }, undefined, 401, /Log in/],
    ['POST /cut', {}, '{}', 401, /Log in/],
    ['GET /../package.json', {}, undefined, 404, /no such page/],
    ['GET /__proto__', {}, undefined, 404, /no such page/],
    ['DELETE /messages', { authorization }, undefined, 405, /no such call/],
    ['POST /messages', {}, message({}), 401, /Log in/],
    ['POST /messages', { authorization, 'content-type': 'text/plain' }, message({}), 415, /application\/json/],
    ['POST /messages', { authorization }, '{', 400, /not JSON/],
    ['POST /messages', { authorization }, '[]', 400, /not a JSON object/],
    ['POST /messages', { authorization }, message({ text: 'x'.repeat(40_000) }), 413, /larger/],
    ['POST /messages', { authorization }, message({ text: 'x'.repeat(2001) }), 422, /1 to 2000/],
    ['POST /messages', { authorization }, message({ text: ' \n ' }), 422, /1 to 2000/],
    ['POST /messages', { authorization }, message({ text: 'a\u0000b' }), 422, /control/],
    ['POST /messages', { authorization }, message({ text: 'a\ud800b' }), 422, /control/],
    ['POST /messages', { authorization }, message({ text: 7 }), 422, /not a string/],
    ['POST /messages', { authorization }, message({ thread: 'elsewhere' }), 403, /No thread of yours/],
    ['POST /messages', { authorization }, message({ thread: 'u1.u2' }), 403, /No thread of yours/],
    ['POST /messages', { authorization }, message({ thread: 'u3.u1' }), 403, /No thread of yours/],
    ['POST /messages', { authorization }, message({ thread: 'u3.u3' }), 403, /No thread of yours/],
    ['POST /messages', { authorization }, message({ thread: 'u3.u99' }), 403, /No thread of yours/],
    ['POST /messages', { authorization }, message({ key: undefined }), 422, /key is ill-formed/],
    ['POST /read', { authorization }, '{"thread":"u1.u2","upTo":1}', 403, /No thread of yours/],
    ['POST /read', { authorization }, '{"thread":"all","upTo":-1}', 422, /upTo is not an event id/],
    ['POST /read', { authorization }, '{"thread":"all","upTo":"1e3"}', 422, /upTo is not an event id/],
    ['POST /since', {}, '{"chains":{}}', 401, /Log in/],
    ['POST /since', { authorization }, '{"chains":[]}', 422, /chains is not an object/],
    ['POST /since', { authorization }, '{"chains":{"thread:all":7}}', 422, /thread:all is not an object/],
    ['POST /since', { authorization }, '{"chains":{"thread:all":{"after":"x"}}}', 422, /after is not an event id/],
    ['POST /since', { authorization }, '{"chains":{"thread:all":{"stamp":"7"}}}', 422, /stamp is not a stamp/],
    ['POST /since', { authorization }, '{"chains":{"thread:all":{},"thread:u1.u2":{}}}', 403, /No thread of yours/],
    ['POST /since', { authorization }, '{"chains":{"user:u1":{}}}', 403, /No thread of yours/],
    ['POST /since', { authorization }, '{"chains":{"__proto__":{}}}', 403, /No thread of yours/],
    ['POST /login', {}, '{"name":"a\\nb"}', 422, /control/],
    ['POST /callback', signed('{"events":[]}', { key: 'whsec_b3RoZXI=' }), '{"events":[]}', 401, /Not signed/],
    ['POST /callback', signed('{"events":[]}', { age: 301 }), '{"events":[]}', 401, /long ago/],
    ['POST /callback', signed('{"events":[]}'), '{"events": []}', 401, /Not signed/],
    ['POST /callback', {}, '{"events":[]}', 401, /Not signed/],
  ]
  for (const [call, headers, body, status, says] of cases) {
    const answer = await ask(call, headers, body)
    t.equal(answer.status, status, `${call} ${body?.slice(0, 60)}`)
    t.match(((await answer.json()) as { error: string }).error, says)
  }
})

await t.test('a message that is saved twice under one key is one message, and published once', async t => {
  const authorization = await login('Alice')
  const body = message({ thread: 'u1.u2', text: 'Soup?', key: 'k2' })
  const save = async (): Promise<{ id: number }> => json(await ask('POST /messages', { authorization }, body))
  const { id } = await save()
  t.equal((await save()).id, id)
  const published = (): unknown[] => told.filter(body => body['id'] === id)
  await until(() => published().length > 0, { what: 'a publish' })
  t.match(published(), [{ to: { thread: 'u1.u2' }, type: 'message', receipt_to: 'u1', data: { text: 'Soup?' } }])
  t.equal(published().length, 1)
})

await t.test('what a page begins with is read after the heads that it brings', async t => {
  const authorization = await login('Alice')
  relay.prependOnceListener('request', () => log.save('u1.u2', { author: 'u2', text: 'Just now', key: 'k3' }))
  const inbox = (await json(await ask('GET /inbox', { authorization }))) as {
    since: object
    conversations: { id: string; messages: { data: { text: string } }[] }[]
  }
  t.same(inbox.since, { 'thread:u1.u2': 69, user: 50 })
  t.same(
    inbox.conversations.map(({ id }) => id),
    ['all', 'u1.u2', 'u1.u3'],
  )
  t.equal(inbox.conversations[1]?.messages.at(-1)?.data.text, 'Just now')
})

await t.test('a page is told what came after an id, or after a stamp, of many chains in one call', async t => {
  const authorization = await login('Bob')
  const since = async (chains: object): Promise<{ events: { id: number; type: string }[]; more: string[] }> =>
    json(await ask('POST /since', { authorization }, JSON.stringify({ chains })))
  const whole = await since({ user: {}, site: {}, 'thread:u1.u2': {} })
  const first = whole.events[0]!
  t.match(first, { type: 'message', chain: 'thread:u1.u2', stamp: 70 })
  t.same((await since({ 'thread:u1.u2': { after: String(first.id) } })).events[0], whole.events[1])
  t.same((await since({ 'thread:u1.u2': { stamp: 69 } })).events[0], first)
  t.not((await since({ 'thread:u1.u2': { stamp: 70 } })).events[0]?.id, first.id)

  for (let key = 0; key < 101; key++) log.save('u2.u3', { author: 'u3', text: 'Many', key: String(key) })
  const part = await since({ 'thread:u2.u3': {} })
  t.equal(part.events.length, 100)
  t.same(part.more, ['thread:u2.u3'])
  const rest = await since({ 'thread:u2.u3': { after: String(part.events.at(-1)?.id) } })
  t.same(rest.more, [])
  t.equal(rest.events[0]?.type, 'message')
})

await t.test('how far somebody has got only grows, and is told to the thread', async t => {
  const authorization = await login('Carol')
  const { entry } = log.save('u1.u3', { author: 'u1', text: 'Carol?', key: 'k4' })
  const marks = (): unknown[] => told.filter(body => body['type'] === 'mark').map(body => body['data'])
  const body = JSON.stringify({
    events: [{ type: 'event.delivered', thread: 'u1.u3', data: { event: `${entry.id}`, user: 'u3' } }],
  })
  for (let repeat = 0; repeat < 2; repeat++) t.equal((await ask('POST /callback', signed(body), body)).status, 200)
  for (const upTo of [entry.id + 1000, entry.id]) {
    await ask('POST /read', { authorization }, JSON.stringify({ thread: 'u1.u3', upTo }))
  }
  await until(() => marks().some(mark => (mark as { mark: string }).mark === 'read'), { what: 'a mark' })
  t.same(
    marks().filter(mark => (mark as { user: string }).user === 'u3'),
    [
      { user: 'u3', mark: 'delivered', upTo: entry.id },
      { user: 'u3', mark: 'read', upTo: entry.id },
    ],
  )
})

await t.test('there is room for some guests, and whoever is signed in may cut the connection', async t => {
  const authorization = await login('Zoë')
  await until(() => told.filter(body => body['type'] === 'person').length === 3, { what: 'three introductions' })
  t.equal(cuts, 0)
  t.equal((await ask('POST /cut', { authorization }, '{}')).status, 200)
  t.equal(cuts, 1)
  for (let guest = 5; guest <= 20; guest++) await login(`Guest ${guest}`)
  t.equal((await ask('POST /login', {}, '{"name":"One more"}')).status, 429)
  t.equal((await ask('POST /login', {}, '{"name":"Zoë"}')).status, 200)
})

await t.test('the outbox repeats a publish under the same id until it is answered, and keeps the order', async t => {
  const ids: number[] = []
  const bodies = new Set<string>()
  const relay = createServer()
  const outbox = new Outbox(new RelayApi('chat', KEY, await listen(relay, t)), line => t.fail(line))
  const log = new Log()
  for (const key of ['k1', 'k2']) outbox.add(log.save('all', { author: 'u1', text: key, key }).entry)
  for await (const [request, response] of on(relay, 'request') as AsyncIterable<[IncomingMessage, ServerResponse]>) {
    const body = (await request.toArray()).join('')
    bodies.add(body)
    ids.push((JSON.parse(body) as { id: number }).id)
    if (ids.length === 1) request.socket.destroy()
    else response.writeHead([503, 401, 429][ids.length - 2] ?? 200).end('{"stamps":{"thread:all":7}}')
    if (ids.length === 6) break
  }
  t.same(ids, [1, 1, 1, 1, 1, 2])
  t.equal(bodies.size, 2)
})

async function login(name: string): Promise<string> {
  const { session } = (await json(await ask('POST /login', {}, JSON.stringify({ name })))) as { session: string }
  return `Bearer ${session}`
}

async function json<T>(response: Response): Promise<T> {
  return (await response.json()) as T
}

/** Returns the headers of a callback, signed now or `age` seconds ago. */
function signed(body: string, { key = SECRET, age = 0 } = {}): Record<string, string> {
  const time = String(Math.floor(Date.now() / 1000) - age)
  const secret = Buffer.from(key.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', secret).update(`msg_1.${time}.${body}`).digest('base64')
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': time, 'webhook-signature': `v1a,AAAA v1,${signature}` }
}

/** Calls the origin, with a JSON body unless the headers say otherwise. */
async function ask(call: string, headers: Record<string, string>, body?: string): Promise<Response> {
  const [method = '', path = ''] = call.split(' ')
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return fetch(new URL(path, link), { method, headers: { ...type, ...headers }, ...(body !== undefined && { body }) })
}

function message(fields: object): string {
  return JSON.stringify({ thread: 'all', text: 'Hello', key: 'k1', ...fields })
}

/** Returns the address of a server that listens until the test ends. */
async function listen(server: Server, t: Test): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
