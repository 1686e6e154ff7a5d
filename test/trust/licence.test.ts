import { t } from 'tap'
import { closeCode } from '../../src/protocol/codes.ts'
import { until } from '../support/until.ts'
import { type Claims, eddsa, es256, hs256, licence, NOW, open, refusal, site, token, user } from './signing.ts'

await t.test('operator, licence, token: a site that no file names is known by its licence', async t => {
  const operator = eddsa()
  const { trust } = await open(t, { operator: operator.jwk })
  for (const signer of [eddsa(), es256()]) {
    const settings = { ...site(signer), origins: ['https://example.com'], limits: { threads: 5 } }
    const pass = licence(operator, { sub: 'acme', site: settings })
    const identity = await trust.verifyUser(token(signer, user()), pass)
    t.match(
      identity,
      { site: { id: 'acme', limits: { threads: 5, frameBytes: 65_536 } }, licence: { id: 'lic-1' } },
      signer.alg,
    )
    t.ok(identity.site.origins.has('https://example.com'))
    const again = await trust.verifyUser(token(signer, user({ sub: '8' })), pass)
    t.equal(again.site, identity.site, 'a licence is read once')
  }
})

await t.test('a set of operator keys is chosen from by kid', async t => {
  const [old, next, signer] = [eddsa('o1'), eddsa('o2'), eddsa()]
  const { trust } = await open(t, { operator: { keys: [old.jwk, next.jwk] } })
  const text = token(signer, user())
  const claims = { sub: 'acme', site: site(signer) }
  for (const operator of [old, next]) t.ok(await trust.verifyUser(text, licence(operator, claims)))
  const unnamed = licence(old, claims, { typ: 'licence+jwt', kid: undefined })
  const refused = await refusal(trust.verifyUser(text, unnamed))
  t.match(refused, { code: 'licence_signature', message: /none of the operator's keys/ })
})

await t.test('each fault of a licence has its own code and words', async t => {
  const [operator, stranger, signer] = [eddsa(), eddsa(), eddsa()]
  const { trust } = await open(t, { operator: operator.jwk })
  const make = (changes: Claims, header?: Claims) =>
    licence(operator, { sub: 'acme', site: site(signer), ...changes }, header)
  const good = make({})
  const [head, body] = good.split('.')
  const cases: [name: string, licence: string, code: string, words: RegExp][] = [
    ['not a JWS', 'licence', 'licence_malformed', /not a JWT of typ/],
    ['another typ', make({}, { typ: 'JWT' }), 'licence_malformed', /typ licence\+jwt/],
    ['no typ', make({}, {}), 'licence_malformed', /typ licence\+jwt/],
    ['no sub', make({ sub: undefined }), 'licence_malformed', /sub is not a site id/],
    ['no iss', make({ iss: undefined }), 'licence_malformed', /iss is missing/],
    ['no iat', make({ iat: undefined }), 'licence_malformed', /iat is not a number/],
    ['no exp', make({ exp: undefined }), 'licence_malformed', /exp is not a number/],
    ['no jti', make({ jti: undefined }), 'licence_malformed', /jti is not a string/],
    ['a number as jti', make({ jti: 7 }), 'licence_malformed', /jti is not a string/],
    ['an nbf', make({ nbf: NOW }), 'licence_malformed', /nbf is not supported/],
    ['no site', make({ site: undefined }), 'licence_malformed', /\(site is wrong\)/],
    ['a shared secret', make({ site: site(hs256()) }), 'licence_malformed', /site\.keys\[0\] is wrong/],
    [
      'a private key',
      make({ site: { ...site(signer), keys: [{ ...signer.jwk, d: 'x' }] } }),
      'licence_malformed',
      /site\.keys\[0\]/,
    ],
    [
      'a callback secret',
      make({ site: { ...site(signer), callback: { url: 'https://a.example/', events: [], secret: 'x' } } }),
      'licence_malformed',
      /site\.callback is wrong/,
    ],
    [
      'an ill-written origin',
      make({ site: { ...site(signer), origins: ['https://secret.example/'] } }),
      'licence_malformed',
      /site\.origins\[0\] is wrong/,
    ],
    [
      "a stranger's signature",
      licence(stranger, { sub: 'acme', site: site(signer) }),
      'licence_signature',
      /not signed by this relay's operator/,
    ],
    [
      "the site's own signature",
      licence(signer, { sub: 'acme', site: site(signer) }),
      'licence_signature',
      /not signed/,
    ],
    [
      'alg none',
      `${Buffer.from('{"alg":"none","typ":"licence+jwt"}').toString('base64url')}.${body}.`,
      'licence_signature',
      /not signed/,
    ],
    ['no signature', `${head}.${body}.`, 'licence_signature', /not signed/],
    ['another site', make({ sub: 'other' }), 'licence_site', /for other, iss is acme/],
    ['too old', make({ exp: NOW - 30 }), 'licence_expired', /ask the operator/],
  ]
  for (const [name, text, code, words] of cases) {
    const refused = await refusal(trust.verifyUser(token(signer, user()), text))
    t.match(refused, { code, message: words }, name)
    t.notMatch(refused.message, 'secret.example', 'what stands in a licence is not told')
  }
  t.ok(await trust.verifyUser(token(signer, user()), good), 'and the good one is good')
})

await t.test(
  'a token with an unknown site and no licence, or a site that only another licence brought, is refused',
  async t => {
    const [operator, signer] = [eddsa(), eddsa()]
    const { trust } = await open(t, { operator: operator.jwk })
    const text = token(signer, user())
    t.match(await refusal(trust.verifyUser(text)), {
      code: 'unknown_site',
      message: /site file or send its licence \(acme\)/,
    })
    await trust.verifyUser(text, licence(operator, { sub: 'acme', site: site(signer) }))
    t.equal(
      (await refusal(trust.verifyUser(text))).code,
      'unknown_site',
      'a licence counts for the call that it comes with',
    )
  },
)

await t.test('a licence that was verified expires to the second', async t => {
  const [operator, signer] = [eddsa(), eddsa()]
  const { trust, clock } = await open(t, { operator: operator.jwk })
  const pass = licence(operator, { sub: 'acme', exp: NOW + 60, site: site(signer) })
  const text = token(signer, user())
  t.ok(await trust.verifyUser(text, pass))
  clock.seconds = NOW + 89.999
  t.ok(await trust.verifyUser(text, pass))
  clock.seconds = NOW + 90
  t.equal((await refusal(trust.verifyUser(text, pass))).code, 'licence_expired')
})

await t.test('a licence is revoked, and given back, by the list on disk', async t => {
  const [operator, signer] = [eddsa(), eddsa()]
  const { trust, write } = await open(t, { operator: operator.jwk, revoked: ['lic-0'] })
  const pass = licence(operator, { sub: 'acme', site: site(signer) })
  const text = token(signer, user())
  t.ok(await trust.verifyUser(text, pass))
  let changes = 0
  trust.onChange(() => changes++)
  write('revoked', ['lic-0', 'lic-1'])
  await until(() => changes === 1, { what: 'the revocation' })
  t.ok(trust.isRevoked('lic-1'))
  const refused = await refusal(trust.verifyUser(text, pass))
  t.match(refused, { code: 'licence_revoked', message: /revoked by the operator/ })
  t.equal(closeCode(refused.code), 4403)
  write('revoked', [])
  await until(() => changes === 2, { what: 'the list without it' })
  t.ok(await trust.verifyUser(text, pass))
})

await t.test('a licence for a site of the site file is ignored, and that is warned of once', async t => {
  const [operator, listed, licensed] = [eddsa(), eddsa(), eddsa()]
  const { trust, warnings } = await open(t, { sites: { acme: site(listed) }, operator: operator.jwk })
  const pass = licence(operator, { sub: 'acme', site: site(licensed) })
  t.equal((await refusal(trust.verifyUser(token(licensed, user()), pass))).code, 'token_signature')
  t.strictSame(warnings, [], 'a token that is not verified makes no line in the log')
  for (let times = 0; times < 3; times++) {
    t.equal((await trust.verifyUser(token(listed, user()), pass)).licence, undefined)
  }
  t.match(warnings, [/ignored/])
  t.equal(warnings.length, 1)
})

await t.test('without operator keys no licence counts', async t => {
  const [operator, signer] = [eddsa(), eddsa()]
  const { trust } = await open(t, { sites: {} })
  const pass = licence(operator, { sub: 'acme', site: site(signer) })
  t.equal((await refusal(trust.verifyUser(token(signer, user()), pass))).code, 'licence_signature')
})
