import t from 'tap'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openRaw, proxyHeader, statusOf, upgrade } from './raw.ts'

const acme = new Site('acme')
const DEBUG = { THROUGHLINE_LOG_LEVEL: 'debug' }
// Loopback is the trusted proxy, as are two addresses behind it.
const trusting = await startRelay(t, acme.entry(), {
  ...DEBUG,
  THROUGHLINE_TRUST_PROXY: '127.0.0.0/8,198.51.100.0/24,2001:db8:ffff::/48',
  THROUGHLINE_LIMITS: '{"address_attempts_per_second": 1, "address_unauthenticated": 2}',
})
const believingNobody = await startRelay(t, acme.entry(), {
  ...DEBUG,
  THROUGHLINE_LIMITS: '{"address_attempts_per_second": 1, "address_unauthenticated": 2}',
})

/** Makes an upgrade whose first frame is refused, and returns the address that the log tells of it. */
async function addressOf(relay: Relay, request: Buffer, ...before: Buffer[]): Promise<string> {
  const seen = relay.log.length
  const raw = await openRaw(t, relay)
  raw.write(Buffer.concat([...before, request]))
  await until(() => raw.text().startsWith('HTTP/1.1 101'), { what: () => `an open WebSocket; came: ${raw.text()}` })
  // A masked text frame that is no JSON.
  raw.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]))
  const line = await until(() => relay.log.slice(seen).find(line => line.includes('"refused"')), { what: 'a log line' })
  await until(() => raw.closed(), { what: 'a close' })
  return (JSON.parse(line) as { address: string }).address
}

await t.test('a peer that no proxy speaks for is its own address, whatever it says', async t => {
  t.equal(await addressOf(believingNobody, upgrade()), '127.0.0.1')
  t.equal(await addressOf(believingNobody, upgrade('X-Forwarded-For: 192.0.2.1')), '127.0.0.1')
  t.equal(await addressOf(believingNobody, upgrade(), proxyHeader([192, 0, 2, 1])), '127.0.0.1')
})

await t.test('a proxy that is not believed is told of once, with the variable to set', async t => {
  const told = () => believingNobody.log.filter(line => line.includes('THROUGHLINE_TRUST_PROXY'))
  await addressOf(believingNobody, upgrade('X-Forwarded-For: 192.0.2.1'))
  t.equal(told().length, 1)
  t.match(told()[0], /"address":"127.0.0.1".*all its clients count as one address/)
  t.notOk(trusting.log.some(line => line.includes('is not believed')))
})

await t.test('behind a trusted proxy the right-most address that is none itself is the client', async t => {
  const cases: [header: string[], address: string][] = [
    [['X-Forwarded-For: 192.0.2.1'], '192.0.2.1'],
    [['X-Forwarded-For: 10.9.9.9, 192.0.2.2'], '192.0.2.2'],
    [['X-Forwarded-For: 10.9.9.9, 192.0.2.3 , 198.51.100.7,127.0.0.9'], '192.0.2.3'],
    // Some proxies add a line of their own: the client's stands before it.
    [['X-Forwarded-For: 10.9.9.9', 'X-Forwarded-For: 192.0.2.4'], '192.0.2.4'],
    [['X-Forwarded-For: 10.9.9.9', 'X-Forwarded-For: 192.0.2.5', 'x-forwarded-for: 198.51.100.7'], '192.0.2.5'],
    [['X-Forwarded-For: 192.0.2.6:50123'], '192.0.2.6'],
    [['X-Forwarded-For: [2001:DB8::6]:50123'], '2001:db8:0:0:0:0:0:6'],
    [['X-Forwarded-For: [2001:db8:1::6]'], '2001:db8:1:0:0:0:0:6'],
    [['X-Forwarded-For: 2001:db8:2::6, 2001:db8:ffff::1'], '2001:db8:2:0:0:0:0:6'],
    [['X-Forwarded-For: ::ffff:192.0.2.7'], '192.0.2.7'],
    [[], '127.0.0.1'],
  ]
  for (const [header, address] of cases) t.equal(await addressOf(trusting, upgrade(...header)), address, header.join())
})

await t.test('what is no address falls back to the proxy, and harms nobody', async t => {
  const values = [
    '',
    ',',
    ', ,',
    'unknown',
    '_hidden',
    'a, b',
    '256.1.1.1',
    '1.2.3.4.5',
    'fe80::1%eth0',
    '[::1',
    '[]',
    ':1',
  ]
  for (const value of [...values, '192.0.2.1, x', '192.0.2.1:999999', '\u00ff', '9'.repeat(3000), ','.repeat(3000)]) {
    t.equal(await addressOf(trusting, upgrade(`X-Forwarded-For: ${value}`)), '127.0.0.1', value.slice(0, 30))
  }
})

await t.test('a PROXY protocol header says who the client is, before any X-Forwarded-For', async t => {
  const forged = upgrade('X-Forwarded-For: 10.9.9.9')
  t.equal(await addressOf(trusting, forged, proxyHeader([192, 0, 2, 20])), '192.0.2.20')
  const v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]
  t.equal(await addressOf(trusting, forged, proxyHeader(v6)), '2001:db8:3:0:0:0:0:9')
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 21]
  t.equal(await addressOf(trusting, upgrade(), proxyHeader(mapped)), '192.0.2.21')
  const chained = upgrade('X-Forwarded-For: 192.0.2.22')
  t.equal(await addressOf(trusting, chained, proxyHeader([198, 51, 100, 1])), '192.0.2.22', 'of a second proxy')
})

await t.test('who is behind a proxy cannot put a PROXY header of its own before a second request', async t => {
  const get = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const refused = upgrade('Sec-WebSocket-Protocol: pusher')
  for (const first of [get, refused]) {
    const raw = await openRaw(t, trusting)
    raw.write(Buffer.concat([proxyHeader([192, 0, 2, 30]), first, proxyHeader([10, 9, 9, 9]), upgrade()]))
    await until(() => raw.closed(), { what: 'the end of the connection' })
    t.notMatch(raw.text(), /101 Switching/)
  }
  const later = await openRaw(t, trusting)
  later.write(Buffer.concat([proxyHeader([192, 0, 2, 31]), get]))
  await until(() => later.closed(), { what: 'the end of the connection' })
  t.match(later.text(), /^HTTP\/1.1 404 .*Connection: close.*WebSockets are at \/v1\/ws/s)
})

await t.test('too many attempts of one address are answered 429 with Retry-After; others come in', async t => {
  const from = (address: string): Buffer => upgrade(`X-Forwarded-For: ${address}`, 'Sec-WebSocket-Protocol: pusher')
  for (let i = 0; i < 10; i++) t.equal(await statusOf(t, trusting, from('203.0.113.1')), '400')
  const raw = await openRaw(t, trusting)
  raw.write(from('203.0.113.1'))
  await until(() => raw.closed(), { what: 'an answer' })
  t.match(
    raw.text(),
    /^HTTP\/1.1 429 Too Many Requests\r\n.*Retry-After: 1\r\n.*too many connections from this address/s,
  )
  t.equal(await statusOf(t, trusting, from('203.0.113.2')), '400')
  t.equal(await metric(trusting, 'rate_limited_total{kind="attempts"}'), 1)
  t.match(trusting.log.at(-1), /"address":"203.0.113.1","kind":"attempts"/)
})

await t.test('IPv6 addresses of one /64 count as one', async t => {
  const from = (address: string): Buffer => upgrade(`X-Forwarded-For: ${address}`, 'Sec-WebSocket-Protocol: pusher')
  for (let i = 0; i < 10; i++) t.equal(await statusOf(t, trusting, from(`2001:db8:64::${i}`)), '400')
  t.equal(await statusOf(t, trusting, from('2001:db8:64::ffff')), '429')
  t.equal(await statusOf(t, trusting, from('2001:db8:64:1::1')), '400')
})

await t.test('too many sockets that have not said who they are: 429, until one has', async t => {
  const from = upgrade('X-Forwarded-For: 203.0.113.9')
  const waiting = [await openRaw(t, trusting), await openRaw(t, trusting)]
  for (const raw of waiting) {
    raw.write(from)
    await until(() => raw.text().startsWith('HTTP/1.1 101'), { what: 'an open WebSocket' })
  }
  t.equal(await statusOf(t, trusting, from), '429')
  t.equal(await metric(trusting, 'rate_limited_total{kind="unauthenticated"}'), 1)
  const text = Buffer.from(JSON.stringify({ op: 'connect', token: acme.user('7') }))
  waiting[0]!.write(Buffer.concat([Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 255, 0, 0, 0, 0]), text]))
  await until(() => waiting[0]!.text().includes('"connected"'), { what: 'connected' })
  const said = /"address":"203.0.113.9","site":"acme","user":"7".*"connected"/
  await until(() => trusting.log.some(line => said.test(line)), { what: 'the line in the log' })
  t.equal(await statusOf(t, trusting, from), '101')
})

await t.test('loopback itself is not limited', async t => {
  for (let i = 0; i < 30; i++) t.equal(await statusOf(t, believingNobody, upgrade()), '101')
})

await t.test('the API port takes a PROXY header too: nothing there depends on the address', async t => {
  const raw = await openRaw(t, { ...trusting, ws: trusting.api })
  raw.write(
    Buffer.concat([proxyHeader([192, 0, 2, 1]), Buffer.from('GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n')]),
  )
  await until(() => raw.text().startsWith('HTTP/1.1 200'), { what: 'an answer' })
  t.equal((await call(trusting, acme.server(), '/v1/publish', { to: { site: true }, type: 'm', data: 1 })).status, 200)
})
