import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { turnCredential } from '../../src/trust/turn.ts'
import { openRaw, proxyHeader, statusOf } from '../gateway/raw.ts'
import { Client } from '../support/client.ts'
import { startCoturn } from '../support/coturn.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, serve, Site, startRelay } from '../support/relay.ts'
import { TurnClient } from '../support/stun.ts'
import { until } from '../support/until.ts'
import { eddsa, licence, replaceFile, token } from '../trust/signing.ts'

const ORIGIN = 'https://example.com'
const page = readFileSync(new URL('../../../docs/turn.md', import.meta.url), 'utf8')
/** What the page tells operators to write: the tests below run it. */
const conf = /^```conf\n([\s\S]*?)^```/m.exec(page)![1]!
const example = JSON.parse(/^```json\n([\s\S]*?)^```/m.exec(page)![1]!) as { secret: string; ttl: number }

const coturn = await startCoturn(t, conf)
const turn = `turn:127.0.0.1:${coturn.port}?transport=udp`
const ice = { ...example, urls: [`stun:127.0.0.1:${coturn.port}`, turn] }
const acme = new Site('acme')
const own = new Site('own')
const operator = eddsa()
const guest = eddsa()
const revoked = join(t.testdir({ 'revoked.json': '[]' }), 'revoked.json')
const environment = {
  THROUGHLINE_BUS: (await startRedis(t)).url,
  THROUGHLINE_ICE: JSON.stringify(ice),
  THROUGHLINE_OPERATOR_JWKS: JSON.stringify(operator.jwk),
  THROUGHLINE_REVOKED: revoked,
  THROUGHLINE_LOG_LEVEL: 'debug',
}
const ownIce = { urls: ['turn:own.example'], secret: 'the-secret-of-own', ttl: 60 }
const sites = { ...acme.entry(), ...own.entry({ ice: ownIce }) }
const relay = await startRelay(t, sites, environment)
const other = await startRelay(t, sites, environment)

interface Answer {
  status: number
  headers: Headers
  body: any
}

/** Asks on the WebSocket port, as a page does. */
async function ask(relay: Relay, bearer: string, headers: Record<string, string> = {}): Promise<Answer> {
  const url = relay.ws.replace('ws:', 'http:').replace('/v1/ws', '/v1/ice')
  const response = await fetch(url, { headers: { authorization: `Bearer ${bearer}`, ...headers } })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** Asks on the API port, as an origin does. */
async function askApi(bearer: string, query: string): Promise<Answer> {
  const response = await fetch(`${relay.api}/v1/ice${query}`, { headers: { authorization: `Bearer ${bearer}` } })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** Returns what coturn says to an allocation with a credential: 0, or the error code. */
async function allocation(credential: object): Promise<number> {
  return (await TurnClient.open(t, coturn.port, credential)).allocate()
}

await t.test('a page of the site gets servers and a credential with which coturn makes an allocation', async t => {
  const before = Math.floor(Date.now() / 1000)
  const { status, headers, body } = await ask(relay, acme.user('7'), { origin: ORIGIN })
  t.equal(status, 200)
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('access-control-allow-origin'), ORIGIN)
  t.equal(headers.get('vary'), 'origin')
  t.equal(headers.get('access-control-allow-credentials'), null)
  t.strictSame(Object.keys(body), ['iceServers', 'ttl'])
  t.equal(body.ttl, 3600)
  const [stun, { urls, username, credential }] = body.iceServers
  t.strictSame([stun, urls], [{ urls: [ice.urls[0]] }, [turn]])
  const [expiry, id] = username.split(':')
  t.equal(id, 'acme.7')
  t.ok(Number(expiry) >= before + 3600 && Number(expiry) <= Date.now() / 1000 + 3600)
  t.equal(await allocation({ username, credential }), 0)
})

await t.test('coturn takes the whole alphabet of ids, and the longest', async t => {
  for (const user of ['Aa0_.:@-', 'x'.repeat(128)]) {
    const { body } = await ask(relay, acme.user(user))
    t.equal(await allocation(body.iceServers[1]), 0, user)
  }
})

await t.test('coturn refuses an altered credential, one of another secret, and one that has ended', async t => {
  const { body } = await ask(relay, acme.user('7'))
  const { username, credential } = body.iceServers[1]
  const now = Math.floor(Date.now() / 1000)
  const flipped = (credential.startsWith('A') ? 'B' : 'A') + credential.slice(1)
  t.equal(await allocation({ username, credential: flipped }), 401)
  t.equal(await allocation({ username: username.replace('acme', 'own'), credential }), 401)
  t.equal(await allocation({ username: `1${username}`, credential }), 401, 'nobody makes it last longer')
  t.equal(await allocation(turnCredential('another-secret-of-32-characters!', 'acme.7', now + 3600)), 401)
  t.equal(await allocation(turnCredential(ice.secret, 'acme.7', now - 5)), 401)
  t.equal(await allocation(turnCredential(ice.secret, 'acme.7', now + 60)), 0, 'it was the time')
})

await t.test(
  'with the documented settings of coturn nobody reaches the private network, and all of the public',
  async t => {
    const { body } = await ask(relay, acme.user('walker'))
    const client = await TurnClient.open(t, coturn.port, body.iceServers[1])
    t.equal(await client.allocate(), 0)
    const inside = ['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.0.1', '169.254.169.254', '100.64.0.1', '0.0.0.0']
    for (const peer of inside) t.equal(await client.permit(peer), 403, peer)
    t.equal(await client.permit('8.8.8.8'), 0)
  },
)

await t.test('coturn counts a user’s allocations whatever the expiry says', async t => {
  const strict = await startCoturn(t, `${conf}\nuser-quota=1`)
  const now = Math.floor(Date.now() / 1000)
  const tries = [now + 100, now + 200].map(expires => turnCredential(ice.secret, 'acme.7', expires))
  const outcomes = []
  for (const credential of tries) outcomes.push(await (await TurnClient.open(t, strict.port, credential)).allocate())
  t.strictSame(outcomes, [0, 486])
  const neighbour = turnCredential(ice.secret, 'acme.8', now + 100)
  t.equal(await (await TurnClient.open(t, strict.port, neighbour)).allocate(), 0)
})

await t.test('coturn takes two secrets while one is replaced by the other', async t => {
  const both = await startCoturn(t, `${conf}\nstatic-auth-secret=the-one-that-is-to-come`)
  const later = Math.floor(Date.now() / 1000) + 100
  for (const secret of [ice.secret, 'the-one-that-is-to-come']) {
    t.equal(await (await TurnClient.open(t, both.port, turnCredential(secret, 'acme.7', later))).allocate(), 0)
  }
})

await t.test('a site’s own servers count instead of the node’s', async t => {
  const { body } = await ask(relay, own.user('7'))
  t.equal(body.ttl, 60)
  t.equal(body.iceServers.length, 1)
  const [{ urls, username, credential }] = body.iceServers
  t.strictSame(urls, ownIce.urls)
  t.equal(credential, turnCredential(ownIce.secret, 'own.7', Number(username.split(':')[0])).credential)
})

await t.test('a preflight is answered for every page, since it has no token that names a site', async t => {
  const url = relay.ws.replace('ws:', 'http:').replace('/v1/ws', '/v1/ice')
  const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' }
  const { status, headers } = await fetch(url, { method: 'OPTIONS', headers: { origin: ORIGIN, ...asks } })
  t.equal(status, 200)
  t.equal(headers.get('access-control-allow-origin'), ORIGIN)
  t.equal(headers.get('access-control-allow-methods'), 'GET')
  t.equal(headers.get('access-control-allow-headers'), 'authorization, throughline-licence')
  t.equal(headers.get('vary'), 'origin')
})

await t.test('a page elsewhere gets nothing, and cannot even read why', async t => {
  for (const origin of ['https://evil.example', 'https://example.com.evil.example', 'null']) {
    const { status, headers, body } = await ask(relay, acme.user('7'), { origin })
    t.equal(status, 403)
    t.match(body, { code: 'origin_not_allowed', detail: new RegExp(origin) })
    t.equal(headers.get('access-control-allow-origin'), null)
    t.equal(headers.get('vary'), 'origin')
  }
})

await t.test('who has no good user token gets a problem that the page can read', async t => {
  const past = Math.floor(Date.now() / 1000) - 100
  const cases: [bearer: string, code: string, detail: RegExp][] = [
    [acme.user('7', {}, { iat: past, exp: past + 10 }), 'token_expired', /has expired/],
    [acme.server(), 'token_audience', /throughline was expected/],
    [new Site('acme').user('7'), 'token_signature', /does not verify/],
    [new Site('nobody').user('7'), 'unknown_site', /nobody/],
    ['x', 'token_malformed', /compact JWS/],
  ]
  for (const [bearer, code, detail] of cases) {
    const { status, headers, body } = await ask(relay, bearer, { origin: ORIGIN })
    t.equal(status, 401, code)
    t.match(body, { code, status: 401, detail })
    t.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8')
    t.equal(headers.get('access-control-allow-origin'), ORIGIN)
  }
  const missing = await ask(relay, '', { authorization: 'Basic eDp5' })
  t.match(missing.body, { code: 'token_malformed', detail: /<user token>/ })
  t.ok((await metric(relay, 'auth_failures_total{code="token_audience"}')) >= 1)
})

await t.test('only GET and OPTIONS are answered there', async t => {
  const url = relay.ws.replace('ws:', 'http:').replace('/v1/ws', '/v1/ice')
  const response = await fetch(url, { method: 'POST', body: '{}' })
  t.equal(response.status, 405)
  t.equal(response.headers.get('allow'), 'GET, OPTIONS')
  t.match(await response.json(), { code: 'not_found', detail: /not with POST/ })
})

await t.test(
  'a user whose tokens were taken back gets nothing on any node, and something with a newer token',
  async t => {
    const before = acme.user('9', {}, { iat: Math.floor(Date.now() / 1000) - 10 })
    t.equal((await ask(other, before)).status, 200)
    t.equal((await call(relay, acme.server(), '/v1/users/9/disconnect', { revoke: true })).status, 200)
    t.match(await ask(relay, before), { status: 401, body: { code: 'token_revoked' } })
    await until(async () => (await ask(other, before)).status === 401, { what: 'the news on the other node' })
    t.match(await ask(other, before), { body: { code: 'token_revoked' } })
    const after = acme.user('9', {}, { iat: Math.floor(Date.now() / 1000) + 5 })
    t.equal((await ask(other, after)).status, 200)
  },
)

await t.test('a licensed site has the node’s servers, until its licence is revoked', async t => {
  const now = Math.floor(Date.now() / 1000)
  const lifetime = { iat: now, exp: now + 600 }
  const site = { keys: [guest.jwk], origins: ['https://guest.example'] }
  const pass = licence(operator, { sub: 'guest', jti: 'l1', site, ...lifetime })
  const user = token(guest, { iss: 'guest', aud: 'throughline', sub: '7', ...lifetime })
  t.match(await ask(relay, user), { status: 401, body: { code: 'unknown_site' } })
  const papers = { 'throughline-licence': pass }
  const { body, headers } = await ask(relay, user, { ...papers, origin: 'https://guest.example' })
  t.equal(headers.get('access-control-allow-origin'), 'https://guest.example')
  t.match(body.iceServers[1].username, /^\d{10}:guest\.7$/)
  t.equal(await allocation(body.iceServers[1]), 0)
  replaceFile(revoked, '["l1"]')
  await until(async () => (await ask(relay, user, papers)).status === 401, { what: 'the list to be read again' })
  t.match(await ask(relay, user, papers), { body: { code: 'licence_revoked' } })
})

await t.test('an origin asks on the API port for a user of its own', async t => {
  const { status, headers, body } = await askApi(acme.server({ scope: 'manage' }), '?user=7')
  t.equal(status, 200)
  t.equal(headers.get('cache-control'), 'no-store')
  t.match(body.iceServers[1].username, /:acme\.7$/)
  t.equal(await allocation(body.iceServers[1]), 0)
  t.match(await askApi(acme.server({ scope: 'publish presence' }), '?user=7'), {
    status: 403,
    body: { code: 'scope_missing', detail: /manage/ },
  })
  for (const query of ['', '?user=', '?user=a%20b', '?User=7']) {
    t.match(await askApi(acme.server(), query), { status: 422, body: { code: 'bad_id', detail: /\?user=7/ } }, query)
  }
  t.match(await askApi(acme.user('7'), '?user=7'), { status: 401, body: { code: 'token_audience' } })
})

await t.test('no secret and no credential stands in log or metrics', async t => {
  const { body } = await ask(relay, acme.user('7'))
  const metrics = await (await fetch(`${relay.admin}/metrics`)).text()
  const told = [...relay.log, metrics].join('\n')
  for (const secret of [ice.secret, ownIce.secret, body.iceServers[1].credential]) t.notOk(told.includes(secret))
  t.ok(told.includes('origin_not_allowed'), 'refusals were logged')
})

await t.test('a node that was given no servers says what to set', async t => {
  const bare = await startRelay(t, acme.entry())
  const { status, body } = await ask(bare, acme.user('7'))
  t.equal(status, 404)
  t.match(body, { code: 'not_found', detail: /set THROUGHLINE_ICE, or the site's ice in the site file/ })
})

await t.test('a wrong variable stops the start with one line', async t => {
  const started = await serve({ THROUGHLINE_SITES: relay.sitesFile, THROUGHLINE_ICE: '{"urls":["turn:a.example"]}' })
  t.equal(started.exit, 78)
  t.match(started.stderr, /^THROUGHLINE_ICE: secret: expected coturn's static-auth-secret, .*, found nothing\n$/)
})

await t.test('a node that is shutting down sends pages to another', async t => {
  const leaving = await startRelay(t, acme.entry(), { THROUGHLINE_ICE: JSON.stringify(ice) })
  const client = await Client.connect(t, leaving, acme.user('7'))
  const raw = await openRaw(t, leaving)
  leaving.kill('SIGTERM')
  await client.expect(({ op }) => op === 'drain', 'drain')
  raw.write(Buffer.from('GET /v1/ice HTTP/1.1\r\nHost: x\r\n\r\n'))
  await until(() => raw.closed(), { what: 'an answer' })
  t.match(raw.text(), /^HTTP\/1\.1 503 .*retry-after: 1\r\n.*"code":"draining"/s)
})

await t.test('calls count among the attempts of an address, preflights too, and each ends its connection', async t => {
  const limited = await startRelay(t, acme.entry(), {
    THROUGHLINE_ICE: JSON.stringify(ice),
    THROUGHLINE_TRUST_PROXY: '127.0.0.1',
    THROUGHLINE_LIMITS: '{"address_attempts_per_second": 1}',
  })
  const request = (method: string, ...lines: string[]): Buffer =>
    Buffer.from(`${[`${method} /v1/ice HTTP/1.1`, 'Host: x', ...lines].join('\r\n')}\r\n\r\n`)
  const good = [`Authorization: Bearer ${acme.user('7')}`, `Origin: ${ORIGIN}`]
  for (let i = 0; i < 5; i++) {
    t.equal(await statusOf(t, limited, request('GET', ...good, 'X-Forwarded-For: 192.0.2.1')), '200')
    t.equal(await statusOf(t, limited, request('OPTIONS', 'X-Forwarded-For: 192.0.2.1')), '200')
  }
  const raw = await openRaw(t, limited)
  raw.write(request('GET', ...good, 'X-Forwarded-For: 192.0.2.1'))
  await until(() => raw.closed(), { what: 'an answer' })
  t.match(
    raw.text(),
    /^HTTP\/1\.1 429 .*retry-after: 1\r\n.*access-control-allow-origin: https.*"code":"rate_limited"/s,
  )
  t.equal(await statusOf(t, limited, request('GET', ...good, 'X-Forwarded-For: 192.0.2.2')), '200', 'another address')
  t.equal(await metric(limited, 'rate_limited_total{kind="attempts"}'), 1)

  // Whoever is behind a proxy could choose an address by a PROXY header before a second request.
  const twice = await openRaw(t, limited)
  const second = Buffer.concat([proxyHeader([10, 9, 9, 9]), request('GET', ...good)])
  twice.write(Buffer.concat([proxyHeader([192, 0, 2, 3]), request('GET', ...good), second]))
  await until(() => twice.closed(), { what: 'the end of the connection' })
  t.ok(twice.text().split('HTTP/1.1').length <= 2, 'no second answer')
})
