import { on } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createOrigin } from '../../examples/chat/origin.ts'
import { Outbox } from '../../examples/chat/outbox.ts'
import { Store } from '../../examples/chat/store.ts'
import type { SecretKey } from '../../examples/chat/tokens.ts'

// The demo's origin is there to be copied, so it must refuse what a real one must refuse.

const KEY: SecretKey = { kty: 'oct', alg: 'HS256', kid: 'k', k: 'c2VjcmV0' }

const relay = createServer()
const outbox = new Outbox({ site: 'chat', key: KEY, api: await listen(relay, t), warn: line => t.comment(line) })
t.teardown(() => outbox.close())
relay.on('request', (_, response) => response.end('{}'))
const origin = createServer(
  createOrigin({ site: 'chat', key: KEY, relay: 'ws://127.0.0.1:1', store: new Store(), outbox }),
)
const link = await listen(origin, t)

await t.test('the origin refuses what is not as it should be, and says why', async t => {
  const login = await ask('POST /login', {}, '{"name":"Carol"}')
  const { session } = (await login.json()) as { session: string }
  const authorization = `Bearer ${session}`
  const cases: [
    call: string,
    headers: Record<string, string>,
    body: string | undefined,
    status: number,
    says: RegExp,
  ][] = [
    ['GET /token', {}, undefined, 401, /Log in/],
    ['GET /messages?thread=team', { authorization: 'Bearer nobody' }, undefined, 401, /Log in/],
    ['GET /messages?thread=__proto__', { authorization }, undefined, 422, /no such thread/],
    ['GET /messages?thread=team&after=-1', { authorization }, undefined, 422, /not a message id/],
    ['GET /../package.json', {}, undefined, 404, /no such page/],
    ['GET /__proto__', {}, undefined, 404, /no such page/],
    ['DELETE /messages', { authorization }, undefined, 405, /no such call/],
    ['POST /messages', {}, message({}), 401, /Log in/],
    ['POST /messages', { authorization, 'content-type': 'text/plain' }, message({}), 415, /application\/json/],
    ['POST /messages', { authorization }, '{', 400, /not JSON/],
    ['POST /messages', { authorization }, '[]', 400, /not a JSON object/],
    ['POST /messages', { authorization }, message({ text: 'x'.repeat(20_000) }), 413, /larger/],
    ['POST /messages', { authorization }, message({ text: 'x'.repeat(2001) }), 422, /1 to 2000/],
    ['POST /messages', { authorization }, message({ text: ' \n ' }), 422, /1 to 2000/],
    ['POST /messages', { authorization }, message({ text: 'a\u0000b' }), 422, /control/],
    ['POST /messages', { authorization }, message({ text: 'a\ud800b' }), 422, /control/],
    ['POST /messages', { authorization }, message({ text: 7 }), 422, /not a string/],
    ['POST /messages', { authorization }, message({ thread: 'elsewhere' }), 422, /no such thread/],
    ['POST /messages', { authorization }, message({ connection: 'a b' }), 422, /connection is ill-formed/],
    ['POST /messages', { authorization }, message({ key: undefined }), 422, /key is ill-formed/],
    ['POST /login', {}, '{"name":"a\\nb"}', 422, /control/],
  ]
  for (const [call, headers, body, status, says] of cases) {
    const answer = await ask(call, headers, body)
    t.equal(answer.status, status, `${call} ${body?.slice(0, 60)}`)
    t.match(((await answer.json()) as { error: string }).error, says)
  }
})

await t.test('a message that is saved twice under one key is one message', async t => {
  const login = await ask('POST /login', {}, '{"name":"Carol"}')
  const { session } = (await login.json()) as { session: string }
  const save = async (): Promise<unknown> =>
    (
      await ask(
        'POST /messages',
        { authorization: `Bearer ${session}` },
        '{"thread":"lunch","text":"Soup?","key":"k2"}',
      )
    ).json()
  t.same(await save(), await save())
})

await t.test('the outbox repeats a publish under the same id until it is answered, and keeps the order', async t => {
  const ids: number[] = []
  const bodies = new Set<string>()
  const relay = createServer()
  const api = await listen(relay, t)
  const outbox = new Outbox({ site: 'chat', key: KEY, api, warn: line => t.fail(line) })
  for (const id of [7, 8]) {
    outbox.add({ id, thread: 'team', author: { id: 'u1', name: 'Alice' }, text: `${id}`, at: 0, key: `k${id}` }, 'c1')
  }
  for await (const [request, response] of on(relay, 'request') as AsyncIterable<[IncomingMessage, ServerResponse]>) {
    const body = (await request.toArray()).join('')
    bodies.add(body)
    ids.push((JSON.parse(body) as { id: number }).id)
    if (ids.length === 1) request.socket.destroy()
    else response.writeHead([503, 401, 429][ids.length - 2] ?? 200).end('{}')
    if (ids.length === 6) break
  }
  t.same(ids, [7, 7, 7, 7, 7, 8])
  t.equal(bodies.size, 2)
})

/** Calls the origin, with a JSON body unless the headers say otherwise. */
async function ask(call: string, headers: Record<string, string>, body?: string): Promise<Response> {
  const [method = '', path = ''] = call.split(' ')
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return fetch(new URL(path, link), { method, headers: { ...type, ...headers }, ...(body !== undefined && { body }) })
}

function message(fields: object): string {
  return JSON.stringify({ thread: 'team', text: 'Hello', key: 'k1', ...fields })
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
