import { connect } from 'node:net'
import t from 'tap'
import { writeFileSync } from 'node:fs'
import { Client, type Frame } from '../support/client.ts'
import { call, metric, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const relay = await startRelay(t, acme.entry({ limits: { frame_bytes: 2000, threads: 3 } }))
// Nothing that any of the others does may cost this one anything.
const bystander = await Client.connect(t, relay, acme.user('bystander', { quiet: ['read'] }))
await bystander.subscribe('quiet')

const token = acme.user('7', { t1: ['read'], t2: ['send'], t3: ['read'], t4: ['read'], t5: ['read'] })

await t.test('what is no frame is answered with its code and ends the connection with 4400', async t => {
  const nested = (levels: number): string => `{"op":"x","a":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const cases: [frame: string | Buffer, code: string, says: RegExp][] = [
    ['not json', 'bad_json', /an object was expected/],
    ['[]', 'bad_json', /an object was expected/],
    ['{"op":"subscribe"', 'bad_json', /a comma or }/],
    ['{}', 'bad_frame', /op is not a string/],
    ['{"op":7}', 'bad_frame', /op is not a string/],
    ['{"op":"subscribe","id":1.5}', 'bad_frame', /id is not an integer/],
    ['{"op":"subscribe","id":"1"}', 'bad_frame', /id is not an integer/],
    ['{"op":"subscribe","op":"connect"}', 'duplicate_key', /twice/],
    ['{"op":"subscribe","\\u006fp":"connect"}', 'duplicate_key', /twice/],
    ['{"op":"subscribe","__proto__":{}}', 'bad_json', /__proto__/],
    [nested(32), 'too_deep', /32 levels/],
    [`{"op":"x","data":${'['.repeat(65)}${']'.repeat(65)}}`, 'too_deep', /64 inside/],
    [Buffer.from('{"op":"subscribe"}'), 'bad_frame', /binary/],
  ]
  for (const [frame, code, says] of cases) {
    const client = await Client.connect(t, relay, token)
    client.send(frame)
    t.same(await client.expectClose(), { code: 4400, reason: code }, String(frame))
    t.match(client.frames.at(-1), { op: 'error', code, message: says })
  }
  const fits = await Client.connect(t, relay, token)
  t.match(await fits.ask('x', { a: JSON.parse(`${'['.repeat(31)}${']'.repeat(31)}`) as object }), {
    code: 'unknown_op',
  })
})

await t.test('a frame over the limit of the site ends the connection with 4413, one over the cap at once', async t => {
  const client = await Client.connect(t, relay, token)
  client.send(JSON.stringify({ op: 'x', pad: 'x'.repeat(2000) }))
  t.same(await client.expectClose(), { code: 4413, reason: 'too_large' })
  const huge = await Client.connect(t, relay, token)
  huge.send(JSON.stringify({ op: 'x', pad: 'x'.repeat(300_000) }))
  t.equal((await huge.expectClose()).code, 1006, 'uWebSockets ends it before we see it')
  const unknown = await Client.open(t, relay)
  unknown.send(JSON.stringify({ op: 'connect', token: 'x'.repeat(70_000) }))
  t.same(await unknown.expectClose(), { code: 4413, reason: 'too_large' })
})

await t.test('text that is not UTF-8 ends the connection', async t => {
  const client = await Client.connect(t, relay, token)
  const mask = Buffer.alloc(4)
  const payload = Buffer.from([0x7b, 0xff, 0xfe, 0x7d])
  // A masked text frame by hand: the client library would not send it.
  const raw = (client.socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket
  raw.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload]))
  t.equal((await client.expectClose()).code, 1006, 'uWebSockets checks text itself and sends no close frame')
})

await t.test('an op that is wrong is answered, and the connection lives on', async t => {
  const client = await Client.connect(t, relay, token)
  const cases: [op: string, fields: object, code: string][] = [
    ['fly', {}, 'unknown_op'],
    ['constructor', {}, 'unknown_op'],
    ['subscribe', {}, 'bad_field'],
    ['subscribe', { threads: [] }, 'bad_field'],
    ['subscribe', { threads: 't1' }, 'bad_field'],
    ['subscribe', { threads: ['t1'], since: [] }, 'bad_field'],
    ['subscribe', { threads: ['a\u0000b'] }, 'bad_id'],
    ['subscribe', { threads: ['t1', { toString: 1 }] }, 'bad_id'],
    ['subscribe', { threads: ['x'.repeat(129)] }, 'bad_id'],
    ['subscribe', { threads: ['..'] }, 'bad_id'],
    ['subscribe', { threads: [-1] }, 'bad_id'],
    ['unsubscribe', {}, 'bad_field'],
  ]
  for (const [op, fields, code] of cases)
    t.match(await client.ask(op, fields), { op: 'error', code }, JSON.stringify(fields))
  t.match(await client.subscribe('t1'), { op: 'subscribed' })
})

await t.test('threads are refused one by one: unknown, without read, too many', async t => {
  const client = await Client.connect(t, relay, token)
  const answer = await client.subscribe('t1', 't2', 'unknown', 'constructor', 't3', 't4', 't5')
  t.same(Object.keys(answer['chains']), ['thread:t1', 'thread:t3', 'thread:t4'])
  const codes = Object.entries<any>(answer['refused']).map(([thread, { code }]) => [thread, code])
  t.same(Object.fromEntries(codes), {
    t2: 'permission_missing',
    unknown: 'thread_not_allowed',
    constructor: 'thread_not_allowed',
    t5: 'thread_limit',
  })
  t.notOk((await client.subscribe('t1'))['refused'], 'one that is heard already needs no room')
})

await t.test('before connect nothing else is allowed, and afterwards connect is not', async t => {
  const early = await Client.open(t, relay)
  early.send({ op: 'subscribe', id: 1, threads: ['t1'] })
  t.same(await early.expectClose(), { code: 4401, reason: 'connect_first' })
  const twice = await Client.connect(t, relay, token)
  twice.send({ op: 'connect', id: 2, token })
  t.same(await twice.expectClose(), { code: 4400, reason: 'bad_frame' })
  const pipelined = await Client.open(t, relay)
  pipelined.send({ op: 'connect', id: 1, token })
  pipelined.send({ op: 'subscribe', id: 2, threads: ['t1'] })
  await pipelined.expect(frame => frame.op === 'subscribed', 'a subscribe that did not wait for connected')
  t.same(
    pipelined.frames.map(frame => frame.op),
    ['connected', 'subscribed'],
  )
})

await t.test('a connect that fails is answered and closed, with the code as the reason', async t => {
  const now = Math.floor(Date.now() / 1000)
  const stranger = new Site('acme')
  const none = (claims: object): string => `${acme.sign(claims, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`
  const claims = { iss: 'acme', aud: 'throughline', sub: '7', iat: now, exp: now + 60 }
  const cases: [fields: object, code: string, close: number][] = [
    [{}, 'token_missing', 4401],
    [{ token: 7 }, 'token_malformed', 4401],
    [{ token: 'a.b' }, 'token_malformed', 4401],
    [{ token: none(claims) }, 'token_algorithm', 4401],
    [{ token: stranger.user('7') }, 'token_signature', 4401],
    [{ token: new Site('elsewhere').user('7') }, 'unknown_site', 4401],
    [{ token: acme.user('7', {}, { exp: now - 60 }) }, 'token_expired', 4401],
    [{ token: acme.user('7', {}, { exp: now + 90_000 }) }, 'token_exp_far', 4401],
    [{ token: acme.user('7', {}, { aud: 'throughline:api' }) }, 'token_audience', 4401],
    [{ token: acme.user('a b') }, 'token_user', 4401],
    [{ token: acme.user('7', {}, { info: 'x'.repeat(1025) }) }, 'token_claims', 4401],
    [{ token: new Site('elsewhere').user('7'), licence: 'x' }, 'licence_malformed', 4401],
  ]
  for (const [fields, code, close] of cases) {
    const client = await Client.open(t, relay)
    client.send({ op: 'connect', id: 9, ...fields })
    t.same(await client.expectClose(), { code: close, reason: code })
    t.match(client.frames, [{ op: 'error', id: 9, code, message: String }], code)
  }
  const page = await Client.open(t, relay, { origin: 'https://evil.example' })
  page.send({ op: 'connect', token })
  t.same(await page.expectClose(), { code: 4403, reason: 'origin_not_allowed' })
  const fields = await Client.open(t, relay)
  t.match(await fields.ask('connect', { token, since: 5 }), { op: 'error', code: 'bad_field' })
  t.match(await fields.ask('connect', { token }), { op: 'connected' }, 'a wrong field does not use up the connection')
})

await t.test('who does not connect in time is closed', async t => {
  const silent = await Client.open(t, relay)
  await until(() => silent.closed !== undefined, { what: 'the deadline' })
  t.same(silent.closed, { code: 4401, reason: 'connect_timeout' })
})

await t.test('an open connection ends 30 s after its token', { timeout: 300_000 }, async t => {
  const now = Math.floor(Date.now() / 1000)
  // The leeway lets a token in that expired 25 s ago, so that the test need not wait for 30.
  const client = await Client.connect(t, relay, acme.user('7', {}, { iat: now - 60, exp: now - 25 }))
  await until(() => client.closed !== undefined, { what: 'the end' })
  t.same(client.closed, { code: 4401, reason: 'token_expired' })
})

await t.test('a site file with an error keeps the old one; a new one counts at once', async t => {
  writeFileSync(relay.sitesFile, '{"acme": {"keys": [}')
  await until(() => relay.log.some(line => line.includes('THROUGHLINE_SITES') || line.includes('site file')), {
    what: 'a warning',
  })
  t.equal((await Client.connect(t, relay, token)).frames[0]!.op, 'connected')
  const beta = new Site('beta')
  writeFileSync(relay.sitesFile, JSON.stringify({ ...acme.entry(), ...beta.entry() }))
  let answer: Frame | undefined
  await until(
    async () => {
      const client = await Client.open(t, relay)
      answer = await client.ask('connect', { token: beta.user('1') })
      return answer.op === 'connected'
    },
    { what: 'the new site' },
  )
  t.match(answer, { op: 'connected', site: 'beta' })
})

await t.test('paths and upgrades that are not ours are refused in words', async t => {
  const base = relay.ws.replace('ws:', 'http:')
  t.equal((await fetch(new URL('/nowhere', base))).status, 404)
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'x'.repeat(24),
    'sec-websocket-version': '13',
  }
  const answer = await rawUpgrade(base, { ...headers, 'sec-websocket-protocol': 'pusher' })
  t.match(answer, /^HTTP\/1.1 400 .*throughline.v1/s)
})

await t.test('all of it was counted, and cost the bystander nothing', async t => {
  t.equal(bystander.closed, undefined)
  await call(relay, acme.server(), '/v1/publish', { to: { thread: 'quiet' }, type: 'm', data: 1 })
  await until(() => bystander.events().length === 1, { what: 'the event' })
  t.ok((await metric(relay, 'auth_failures_total{code="token_signature"}')) >= 1)
  t.ok((await metric(relay, 'refusals_total{code="bad_json"}')) >= 1)
  t.ok((await metric(relay, 'connections_closed_total{code="4400"}')) >= 13)
})

/** Sends an upgrade by hand and returns what is answered. */
async function rawUpgrade(base: string, headers: Record<string, string>): Promise<string> {
  const { hostname, port, pathname } = new URL(base)
  const socket = connect(Number(port), hostname)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\n${lines.join('')}\r\n`)
  let text = ''
  socket.on('data', (data: Buffer) => {
    text += data.toString()
  })
  await until(() => text.includes('\r\n\r\n') && text.includes('throughline'), { what: 'an answer' })
  socket.destroy()
  return text
}
