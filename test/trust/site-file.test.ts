import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { systemClock } from '../../src/lib/clock.ts'
import { openTrust, TrustConfigError, type TrustOptions } from '../../src/trust/trust.ts'
import { type Claims, eddsa, es256, hs256, open, site, token, user } from './signing.ts'

/** Returns the error that stops the start. */
async function fault(options: Omit<TrustOptions, 'clock' | 'warn'>): Promise<TrustConfigError> {
  try {
    const trust = await openTrust({ ...options, clock: systemClock, warn: () => undefined })
    trust.close()
  } catch (error) {
    if (error instanceof TrustConfigError) return error
    throw error
  }
  throw new Error('started, a TrustConfigError was expected')
}

await t.test('a full site file is read, and limits left out have their defaults', async t => {
  const signer = hs256('k1')
  const acme = {
    keys: [
      signer.jwk,
      eddsa('k2').jwk,
      { ...es256('k3').jwk, alg: 'ES256', use: 'sig', key_ops: ['verify'], ext: true },
    ],
    origins: [
      'https://example.com',
      'http://localhost:8000',
      'https://xn--bcher-kva.example',
      'http://[::1]:81',
      'null',
    ],
    callback: {
      url: 'https://example.com/wp-json/relay?x=1',
      events: ['user.online', 'call.*'],
      secret: [`whsec_${Buffer.alloc(24).toString('base64')}`, `whsec_${Buffer.alloc(64).toString('base64')}`],
      data: true,
    },
    limits: {
      connections: 1,
      connections_per_user: 1,
      threads: 20,
      frames_per_second: 1,
      frames_burst: 1,
      frame_bytes: 131_072,
      data_bytes: 1000,
      publishes_per_second: 1,
      deliveries_per_second: 1,
      send_per_second: 1,
      backpressure_bytes: 65_536,
    },
    types: ['typing', 'call.*'],
  }
  const { trust } = await open(t, { sites: { acme, events: site(signer), data: site(signer) } })
  const identity = await trust.verifyUser(token(signer, user()))
  t.strictSame([...identity.site.origins], acme.origins)
  t.strictSame(identity.site.limits, {
    connections: 1,
    connectionsPerUser: 1,
    threads: 20,
    framesPerSecond: 1,
    framesBurst: 1,
    frameBytes: 131_072,
    dataBytes: 1000,
    publishesPerSecond: 1,
    deliveriesPerSecond: 1,
    sendPerSecond: 1,
    backpressureBytes: 65_536,
  })
  for (const iss of ['events', 'data']) {
    const { site } = await trust.verifyUser(token(signer, user({ iss })))
    t.strictSame(site.limits, {
      connections: Infinity,
      connectionsPerUser: 1000,
      threads: 1000,
      framesPerSecond: 300,
      framesBurst: 600,
      frameBytes: 65_536,
      dataBytes: 65_536,
      publishesPerSecond: Infinity,
      deliveriesPerSecond: Infinity,
      sendPerSecond: 250,
      backpressureBytes: 1_048_576,
    })
  }
})

await t.test('a wrong site file stops the start with the site, the field, and what to write', async t => {
  const good = hs256().jwk
  const change = (changes: Claims): Claims => ({ acme: { keys: [good], origins: [], ...changes } })
  const key = (changes: Claims, base: Claims = good): Claims => change({ keys: [{ ...base, ...changes }] })
  const callback = (changes: Claims): Claims =>
    change({ callback: { url: 'https://a.example/', events: [], ...changes } })
  const cases: [content: unknown, words: RegExp][] = [
    ['', /not well-formed JSON.*an object was expected at line 1/],
    ['{\n  "acme": {\n    "keys": [,]\n', /a value was expected at line 3/],
    ['{"acme": 1,\n"acme": 2}', /a key stands twice in one object \(before line 2\)/],
    [Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), /not well-formed JSON/],
    [[], /an object was expected/],
    [{ Acme: {} }, /expected site ids of a-z 0-9 and -, at most 63, found "Acme"/],
    [{ acme: [] }, /acme: expected an object, found a list/],
    [change({ orgins: [] }), /acme: expected only keys, origins, callback, limits, types, ice, found "orgins"/],
    [change({ keys: undefined }), /acme\.keys: expected a list, found nothing/],
    [change({ keys: [] }), /acme\.keys: expected at least one key, found none/],
    [change({ keys: ['x'] }), /acme\.keys\[0\]: expected an object, found a string/],
    [change({ keys: [good, hs256('a').jwk] }), /acme\.keys\[0\]: expected a kid, as there are several keys/],
    [change({ keys: [hs256('a').jwk, eddsa('a').jwk] }), /acme\.keys\[1\]\.kid: stands in an earlier key too/],
    [key({ kid: '' }), /acme\.keys\[0\]\.kid: expected 1 to 256 characters/],
    [key({ kid: 7 }), /acme\.keys\[0\]\.kid: expected 1 to 256 characters, found 7/],
    [key({ alg: 'HS512' }), /acme\.keys\[0\]\.alg: expected HS256 for this kind of key/],
    [key({ alg: 'HS256' }, eddsa().jwk), /acme\.keys\[0\]\.alg: expected EdDSA or Ed25519/],
    [key({ use: 'enc' }), /acme\.keys\[0\]\.use: expected "sig"/],
    [key({ key_ops: ['sign'] }), /acme\.keys\[0\]\.key_ops: expected "verify" among them/],
    [key({ k: 'short' }), /acme\.keys\[0\]\.k: expected at least 32 bytes, found 3/],
    [key({ k: Buffer.alloc(31).toString('base64url') }), /expected at least 32 bytes, found 31/],
    [key({ k: `${'A'.repeat(43)}=` }), /acme\.keys\[0\]\.k: expected base64url without padding/],
    [key({ k: undefined }), /acme\.keys\[0\]\.k: expected base64url/],
    [key({ kty: 'RSA' }), /acme\.keys\[0\]: expected kty oct or kty OKP with crv Ed25519 or kty EC with crv P-256/],
    [key({ crv: 'X25519' }, eddsa().jwk), /expected kty oct or .*, found another kind/],
    [key({ x: 'AAAA' }, eddsa().jwk), /acme\.keys\[0\]: expected a kty OKP with crv Ed25519 key/],
    [key({ x: 'A'.repeat(43) }, es256().jwk), /acme\.keys\[0\]: expected a kty EC with crv P-256 key/],
    [change({ origins: undefined }), /acme\.origins: expected a list, found nothing/],
    [change({ origins: 'https://a.example' }), /acme\.origins: expected a list, found a string/],
    [change({ origins: [7] }), /acme\.origins\[0\]: expected an origin such as .*, found 7/],
    [change({ origins: ['https://a.example/'] }), /acme\.origins\[0\]: .*; write https:\/\/a\.example$/],
    [change({ origins: ['https://a.example/chat?x'] }), /write https:\/\/a\.example$/],
    [change({ origins: ['https://A.example:443'] }), /write https:\/\/a\.example$/],
    [change({ origins: ['http://u:p@a.example:80'] }), /write http:\/\/a\.example$/],
    [change({ origins: ['https://bücher.example'] }), /write https:\/\/xn--bcher-kva\.example$/],
    [change({ origins: ['a.example'] }), /does not begin with https:\/\//],
    [change({ origins: ['wss://a.example'] }), /does not begin with https:\/\//],
    [change({ origins: ['*'] }), /a wildcard; list each origin/],
    [change({ origins: ['https://*.a.example'] }), /a wildcard; list each origin/],
    [change({ limits: [] }), /acme\.limits: expected an object, found a list/],
    [change({ limits: { thread: 1 } }), /acme\.limits: expected only connections, .*, found "thread"/],
    [change({ limits: { threads: 0 } }), /acme\.limits\.threads: expected a positive integer, found 0/],
    [change({ limits: { threads: '5' } }), /acme\.limits\.threads: expected a positive integer, found a string/],
    [change({ limits: { threads: 1.5 } }), /expected a positive integer, found a number that is not whole/],
    [change({ limits: { frame_bytes: 131_073 } }), /acme\.limits\.frame_bytes: expected at most 131072, found 131073/],
    [change({ limits: { data_bytes: 1_048_577 } }), /acme\.limits\.data_bytes: expected at most 1048576/],
    [
      change({ limits: { backpressure_bytes: 1 } }),
      /acme\.limits\.backpressure_bytes: expected at least 65536, found 1/,
    ],
    [change({ types: ['call*'] }), /acme\.types\[0\]: expected an event type such as/],
    [change({ types: ['*'] }), /acme\.types\[0\]: expected an event type/],
    [change({ types: 'typing' }), /acme\.types: expected a list, found a string/],
    [change({ callback: 'https://a.example/' }), /acme\.callback: expected an object, found a string/],
    [callback({ url: 'ftp://a.example/' }), /acme\.callback\.url: expected a URL that begins with https:/],
    [callback({ url: undefined }), /acme\.callback\.url: expected a URL/],
    [callback({ url: 'https://u:p@a.example/' }), /acme\.callback\.url: expected a URL without a user and password/],
    [callback({ url: 'https://a.example/#x' }), /acme\.callback\.url: expected a URL without a fragment/],
    [callback({ events: undefined }), /acme\.callback\.events: expected a list, found nothing/],
    [callback({ events: ['a b'] }), /acme\.callback\.events\[0\]: expected an event type/],
    [callback({ data: 'yes' }), /acme\.callback\.data: expected true or false, found a string/],
    [callback({ secret: 'whsec_AAAA' }), /acme\.callback\.secret: expected whsec_ and 24 to 64 bytes in base64/],
    [callback({ secret: [] }), /acme\.callback\.secret: expected at least one secret, found none/],
    [callback({ secret: [7] }), /acme\.callback\.secret\[0\]: expected whsec_/],
    [callback({ secrets: [] }), /acme\.callback: expected only url, events, data, secret, found "secrets"/],
  ]
  const path = join(t.testdir(), 'sites.json')
  for (const [content, words] of cases) {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    writeFileSync(path, text)
    const error = await fault({ sites: path })
    t.equal(error.variable, 'THROUGHLINE_SITES')
    t.match(error.message, words, text.slice(0, 100))
    t.ok(error.message.startsWith(`${path}: `), 'the file is named')
    t.notMatch(error.message, /\n/, 'one line')
  }
})

await t.test('no message of a wrong site file quotes a key', async t => {
  const path = join(t.testdir(), 'sites.json')
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA'
  const text = JSON.stringify({ acme: { keys: [{ kty: 'oct', k: secret }], origins: [] } })
  const broken = [
    text.replace(secret, `${secret}"`),
    text.replace(secret, `${secret}\\q`),
    text.replace(`${secret}"`, secret),
    text.replace(secret, secret.slice(0, 20)),
    text.replace(secret, `${secret}==`),
    text.replace('"oct"', '"OKP"'),
  ]
  for (const content of broken) {
    writeFileSync(path, content)
    t.notMatch((await fault({ sites: path })).message, /c2VjcmV0/)
  }
})

await t.test('a private key where a public one belongs is refused in those words', async t => {
  const folder = t.testdir()
  const { privateKey } = generateKeyPairSync('ed25519')
  const jwk = privateKey.export({ format: 'jwk' })
  const path = join(folder, 'sites.json')
  writeFileSync(path, JSON.stringify({ acme: { keys: [jwk], origins: [] } }))
  const words = /keys\[0\]: expected a public key, found a private one \(it has "d"\); write its public half here/
  for (const error of [await fault({ sites: path }), await fault({ operatorJwks: JSON.stringify(jwk) })]) {
    t.match(error.message, words)
    t.notMatch(error.message, String(jwk.d))
  }
})

await t.test('a missing or wrong file stops the start and names its variable', async t => {
  const folder = t.testdir({ 'good.json': '{}', 'object.json': '{}', 'numbers.json': '["a",7]', 'broken.json': '["a"' })
  const at = (name: string): string => join(folder, name)
  const operatorJwks = JSON.stringify(eddsa().jwk)
  const cases: [options: Omit<TrustOptions, 'clock' | 'warn'>, variable: string, words: RegExp][] = [
    [{}, 'THROUGHLINE_SITES', /expected this or THROUGHLINE_OPERATOR_JWKS, found neither/],
    [{ sites: at('none.json') }, 'THROUGHLINE_SITES', /none\.json: expected a readable file, found none \(ENOENT\)/],
    [{ sites: folder }, 'THROUGHLINE_SITES', /expected a readable file, found none \(EISDIR\)/],
    [{ sites: at('good.json'), revoked: at('none.json') }, 'THROUGHLINE_REVOKED', /expected a readable file/],
    [{ operatorJwks, revoked: at('object.json') }, 'THROUGHLINE_REVOKED', /expected a list, found an object/],
    [{ operatorJwks, revoked: at('numbers.json') }, 'THROUGHLINE_REVOKED', /\[1\]: expected a licence id, found 7/],
    [{ operatorJwks, revoked: at('broken.json') }, 'THROUGHLINE_REVOKED', /something that is not JSON/],
    [
      { operatorJwks: at('none.json') },
      'THROUGHLINE_OPERATOR_JWKS',
      /a readable file or inline JSON, found neither \(ENOENT\)/,
    ],
    [{ operatorJwks: '{"keys":[]}' }, 'THROUGHLINE_OPERATOR_JWKS', /keys: expected at least one key, found none/],
    [{ operatorJwks: '{"keys":7}' }, 'THROUGHLINE_OPERATOR_JWKS', /keys: expected a list, found 7/],
    [{ operatorJwks: '{"kty":' }, 'THROUGHLINE_OPERATOR_JWKS', /not well-formed JSON/],
    [
      { operatorJwks: JSON.stringify(hs256().jwk) },
      'THROUGHLINE_OPERATOR_JWKS',
      /keys\[0\]: expected kty OKP with crv Ed25519, found/,
    ],
    [
      { operatorJwks: JSON.stringify(es256().jwk) },
      'THROUGHLINE_OPERATOR_JWKS',
      /keys\[0\]: expected kty OKP with crv Ed25519/,
    ],
  ]
  for (const [options, variable, words] of cases) {
    t.match(await fault(options), { variable, message: words })
  }
})

await t.test('operator keys may stand in a file', async t => {
  const path = join(t.testdir({ 'jwks.json': JSON.stringify({ keys: [eddsa('a').jwk, eddsa('b').jwk] }) }), 'jwks.json')
  const trust = await openTrust({ operatorJwks: path, clock: systemClock, warn: () => undefined })
  t.teardown(() => trust.close())
  t.notOk(trust.isRevoked('any'))
})
