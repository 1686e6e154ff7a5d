import { connect } from 'node:net'
import t from 'tap'
import { Client } from '../support/client.ts'
import { call, metric, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const relay = await startRelay(t, acme.entry({ limits: { data_bytes: 100 } }))
const server = acme.server()
const event = { to: { thread: 't1' }, type: 'message', data: 1 }

await t.test('a wrong event is refused with a code and a pointer, and nothing is published', async t => {
  const cases: [body: unknown, status: number, code: string, pointer?: string][] = [
    ['', 400, 'bad_json'],
    ['{', 400, 'bad_json'],
    ['[]', 400, 'bad_json'],
    [Buffer.from('{"to":{"thread":"t1"},"type":"m","data":"\xff"}', 'latin1'), 400, 'bad_json'],
    ['{"to":{"thread":"t1"},"type":"m","data":{"a":01}}', 400, 'bad_json'],
    ['{"to":{"thread":"t1"},"type":"m","data":1,"d\\u0061ta":2}', 400, 'duplicate_key'],
    ['{"to":{"thread":"t1","thread":"t2"},"type":"m","data":1}', 400, 'duplicate_key'],
    ['{"to":{"thread":"t1"},"type":"m","data":1,"__proto__":{}}', 400, 'bad_json'],
    [`{"to":{"thread":"t1"},"type":"m","data":${'['.repeat(65)}${']'.repeat(65)}}`, 400, 'too_deep'],
    [`{"to":${'['.repeat(40)}${']'.repeat(40)},"type":"m","data":1}`, 400, 'too_deep'],
    [{}, 422, 'bad_target', '/to'],
    [{ ...event, to: {} }, 422, 'bad_target', '/to'],
    [{ ...event, to: { thread: 't1', site: true } }, 422, 'bad_target', '/to'],
    [{ ...event, to: { site: false } }, 422, 'bad_target', '/to'],
    [{ ...event, to: { users: [] } }, 422, 'bad_target', '/to'],
    [{ ...event, to: { users: Array.from({ length: 1001 }, (_, i) => i) } }, 422, 'bad_target', '/to'],
    [{ ...event, to: { users: ['ok', 'a b'] } }, 422, 'bad_id', '/to/users/1'],
    [{ ...event, to: { thread: 'a\u0007' } }, 422, 'bad_id', '/to/thread'],
    [{ ...event, to: { thread: 2 ** 53 } }, 422, 'bad_id', '/to/thread'],
    ['{"to":{"thread":1e3},"type":"m","data":1}', 422, 'bad_id', '/to/thread'],
    ['{"to":{"thread":4.0},"type":"m","data":1}', 422, 'bad_id', '/to/thread'],
    [{ ...event, thread: 't2' }, 422, 'bad_field', '/thread'],
    [{ ...event, type: '' }, 422, 'bad_field', '/type'],
    [{ ...event, type: 'x'.repeat(65) }, 422, 'bad_field', '/type'],
    [{ ...event, data: undefined }, 422, 'bad_field', '/data'],
    [{ ...event, id: '__proto__' }, 422, 'bad_id', '/id'],
    [{ ...event, except: 5.5 }, 422, 'bad_id', '/except'],
    [{ ...event, ephemeral: 'yes' }, 422, 'bad_field', '/ephemeral'],
    [{ ...event, ephemerl: true }, 422, 'bad_field', '/ephemerl'],
    [{ ...event, 'a/~b': 1 }, 422, 'bad_field', '/a~1~0b'],
    [{ ...event, data: 'x'.repeat(99) }, 413, 'too_large', '/data'],
    [{ ...event, data: 'x'.repeat(1_100_000) }, 413, 'too_large'],
  ]
  for (const [body, status, code, pointer] of cases) {
    const answer = await call(relay, server, '/v1/publish', body)
    const name = JSON.stringify(body)?.slice(0, 80)
    t.equal(answer.status, status, name)
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
    t.match(answer.body, { type: 'about:blank', title: String, status, code, detail: String })
    t.equal(answer.body.pointer, pointer, name)
  }
  t.equal(await metric(relay, 'events_published_total{source="api"}'), 0)
})

await t.test('a batch as a whole is refused where it is no list of events', async t => {
  const many = Array.from({ length: 1001 }, () => event)
  for (const body of [{}, { events: [] }, { events: event }, { events: many }, { events: [event], more: 1 }]) {
    t.match(await call(relay, server, '/v1/publish/batch', body), { status: 422, body: { code: 'bad_field' } })
  }
  const twice = '{"events":[{"to":{"site":true},"type":"a","type":"b","data":1}]}'
  t.match(await call(relay, server, '/v1/publish/batch', twice), { status: 400, body: { code: 'duplicate_key' } })
})

await t.test('a wrong token is refused before the body is read', async t => {
  const now = Math.floor(Date.now() / 1000)
  const cases: [token: string, status: number, code: string][] = [
    ['', 401, 'token_malformed'],
    ['x', 401, 'token_malformed'],
    [acme.user('7'), 401, 'token_audience'],
    [new Site('acme').server(), 401, 'token_signature'],
    [new Site('nobody').server(), 401, 'unknown_site'],
    [acme.server({ exp: now - 60 }), 401, 'token_expired'],
    [acme.server({ exp: now + 4000 }), 401, 'token_exp_far'],
    [acme.server({ exp: undefined }), 401, 'token_exp_missing'],
    [acme.server({ scope: 'presence manage' }), 403, 'scope_missing'],
  ]
  for (const [token, status, code] of cases) {
    const answer = await call(relay, token, '/v1/publish', 'not even JSON')
    t.match(answer, { status, body: { code } }, code)
    t.equal(answer.headers.get('www-authenticate'), status === 401 ? 'Bearer' : null)
  }
  const bare = await fetch(`${relay.api}/v1/publish`, { method: 'POST', body: '{}' })
  t.match(await bare.json(), { code: 'token_missing' })
  t.equal(
    (await call(relay, acme.server({ scope: ['publish'] }), '/v1/publish', { ...event, ephemeral: true })).status,
    200,
  )
})

await t.test('paths, methods and media types that are not there are told apart', async t => {
  t.match(await call(relay, server, '/v1/nowhere', {}), { status: 404, body: { code: 'not_found' } })
  const get = await fetch(`${relay.api}/v1/publish`)
  t.equal(get.status, 405)
  t.equal(get.headers.get('allow'), 'POST')
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
    const answer = await call(relay, server, '/v1/publish', '{}', { 'content-type': type })
    t.match(answer, { status: 415, body: { code: 'unsupported_media_type' } }, type)
  }
  const none = await fetch(`${relay.api}/v1/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server}` },
  })
  t.equal(none.status, 415)
  const utf8 = await call(relay, server, '/v1/publish', event, { 'content-type': 'application/json; charset=utf-8' })
  t.equal(utf8.status, 200)
})

await t.test('odd paths and methods are refused, or their connection is closed', async t => {
  for (const line of ['GET //x', 'GET /%ff%zz', 'GET /[', 'PUT /v1/publish', 'TRACE /x', 'GET /v1/publish?%00']) {
    const answer = await exchange([`${line} HTTP/1.1\r\nHost: [[[\r\n\r\n`], 'detail')
    t.match(answer, /^HTTP\/1.1 40[45] [^]*problem\+json/, line)
  }
  for (const line of ['OPTIONS *', 'FOO /v1/publish', 'CONNECT x:80', 'GET http://evil/', '']) {
    t.notMatch(await exchange([`${line} HTTP/1.1\r\n__proto__: x\r\n\r\n`], ''), / 200 /, line)
  }
})

await t.test('what drips in, or is not HTTP, is ended within about 10 s, whatever it sends meanwhile', async t => {
  const head = 'POST /v1/publish HTTP/1.1\r\nHost: x\r\n'
  // uWebSockets' ports end it without a word, Node's with 408.
  const cases: [base: string, start: string, answer: RegExp][] = [
    [relay.api, head, /^$/],
    [relay.api, `${head}Content-Length: 5000\r\n\r\n`, /^$/],
    // 20.56 says at once that it is no HTTP/1.1, 20.30 waits.
    [relay.api, '\u0016\u0003\u0001 hello', /^$|^HTTP\/1.1 505 /],
    [relay.ws.replace('ws:', 'http:'), 'GET /v1/ws HTTP/1.1\r\nHost: x\r\n', /^$/],
    [relay.admin, head, /^HTTP\/1.1 408 /],
  ]
  await Promise.all(cases.map(async ([base, start, answer]) => t.match(await drip(base, start), answer, start)))
})

await t.test('headers of up to 4 KiB and bodies are read in however many pieces they come', async t => {
  const body = JSON.stringify(event)
  const lines = [
    'POST /v1/publish HTTP/1.1',
    'Host: x',
    `Authorization: Bearer ${server}`,
    'Content-Type: application/json',
  ]
  const head = (...more: string[]): string => `${[...lines, ...more].join('\r\n')}\r\n\r\n`
  const large = head(`Throughline-Licence: ${'x'.repeat(3000)}`, `Content-Length: ${body.length}`)
  t.match(await exchange([large.slice(0, 1500), large.slice(1500, 3000), large.slice(3000), body]), /^HTTP\/1.1 200 OK/)
  const rest = body.slice(5)
  const chunks = [`5\r\n${body.slice(0, 5)}\r\n`, `${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\n`]
  t.match(await exchange([head('Transfer-Encoding: chunked'), ...chunks]), /^HTTP\/1.1 200 OK/)
  // PHP's curl asks first when a body is large.
  t.match(await exchange([head('Expect: 100-continue', `Content-Length: ${body.length}`), body]), /HTTP\/1.1 200 OK/)
})

await t.test('after all that the relay still does its work', async t => {
  const client = await Client.connect(t, relay, acme.user('7', { t1: ['read'] }))
  await client.subscribe('t1')
  t.equal((await call(relay, server, '/v1/publish', event)).status, 200)
  await until(() => client.events().length === 1, { what: 'the event' })
})

/** Sends the start of a request and then a line now and then; returns what is answered before the other side closes. */
async function drip(base: string, start: string): Promise<string> {
  const { hostname, port } = new URL(base)
  const socket = connect(Number(port), hostname)
  let answer = ''
  let closed = false
  socket.on('data', (data: Buffer) => {
    answer += data.toString()
  })
  socket.on('close', () => {
    closed = true
  })
  // The relay may close while we write.
  socket.on('error', () => {})
  socket.write(start)
  const writing = setInterval(() => socket.write('x-a: b\r\n'), 500)
  try {
    await until(() => closed, { what: () => `the end of ${start}` })
  } finally {
    clearInterval(writing)
    socket.destroy()
  }
  return answer
}

/** Sends a request to the API in pieces and returns the answer, once it has a certain text in it. */
async function exchange(pieces: readonly string[], contains = 'stamps'): Promise<string> {
  const { hostname, port } = new URL(relay.api)
  const socket = connect(Number(port), hostname)
  socket.setNoDelay()
  let answer = ''
  socket.on('data', (data: Buffer) => {
    answer += data.toString()
  })
  for (const piece of pieces) {
    socket.write(piece)
    // So that each piece is likely a segment of its own.
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  await until(() => answer.includes(contains), { what: () => `an answer; came: ${answer}` })
  socket.destroy()
  return answer
}

await t.test('a call whose path is written with escapes is the same call', async t => {
  for (const path of ['/v1/%70ublish', '/v1/publish/%62atch', '/v1/head%73']) {
    t.match(await call(relay, server, path, '{'), { status: 400, body: { code: 'bad_json' } }, path)
  }
  t.match(await call(relay, '', '/v1/%70ublish', event), { status: 401 })
})

await t.test('a path that is no path is not found', async t => {
  for (const path of ['/\\', '/\\\\x:y', '//', '//:1']) {
    t.match(await exchange([`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`], 'not_found'), /^HTTP\/1.1 404 /, path)
  }
})

await t.test('a Content-Type that is none is refused, by each call and where there is none', async t => {
  for (const path of ['/v1/publish', '/v1/heads', '/v1/nothing']) {
    for (const type of ['', ';', 'json']) {
      const answer = await call(relay, server, path, '{}', { 'content-type': type })
      t.match(answer, { status: 415, body: { code: 'unsupported_media_type' } }, `"${type}" for ${path}`)
    }
  }
  t.equal(await metric(relay, 'refusals_total{code="internal"}'), 0)
})

await t.test('a body that has come is read, whatever a second Content-Length says', async t => {
  const { hostname, port } = new URL(relay.api)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  let answer = ''
  socket.on('data', (data: Buffer) => {
    answer += data.toString()
  })
  const head = [
    'POST /v1/heads HTTP/1.1',
    'Host: x',
    `Authorization: Bearer ${server}`,
    'Content-Type: application/json',
  ]
  const framing = ['Content-Length: 19', 'Content-Length: 3']
  socket.write(`${[...head, ...framing].join('\r\n')}\r\n\r\n{"chains":["site"]}`)
  await until(() => answer.includes('\r\n\r\n'), { what: 'an answer' })
  t.match(answer, /^HTTP\/1\.1 200 /)
})
