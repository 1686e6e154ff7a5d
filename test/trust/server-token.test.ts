import { t } from 'tap'
import { until } from '../support/until.ts'
import { type Claims, eddsa, hs256, licence, NOW, open, refusal, server, site, token } from './signing.ts'

await t.test('a server token names its site and scopes; without scope it may do all', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const scopes = async (scope: unknown) => {
    const identity = await trust.verifyServer(token(signer, server({ scope })))
    return identity.scopes === undefined ? undefined : [...identity.scopes]
  }
  t.equal(await scopes(undefined), undefined)
  t.strictSame(await scopes('publish'), ['publish'])
  t.strictSame(await scopes('publish manage other'), ['publish', 'manage'])
  t.strictSame(await scopes(['presence', 'publish']), ['presence', 'publish'])
  t.strictSame(await scopes(''), [], 'an empty scope allows nothing')
  for (const scope of [7, null, { publish: true }, ['publish', 1]]) {
    const refused = await refusal(trust.verifyServer(token(signer, server({ scope }))))
    t.match(refused, { code: 'token_claims', message: /scope is neither/ })
  }
  t.equal((await trust.verifyServer(token(signer, server({ aud: ['throughline:api'] })))).expires, NOW + 600)
})

await t.test('a server token lives an hour at most and needs no iat, but not one from the future', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const code = (claims: Claims) =>
    trust.verifyServer(token(signer, server(claims))).then(
      () => 'accepted',
      error => error.code,
    )
  t.equal(await code({ exp: NOW + 3630 }), 'accepted')
  t.equal(await code({ exp: NOW + 3631 }), 'token_exp_far')
  t.equal(await code({ iat: NOW + 30 }), 'accepted')
  t.equal(await code({ iat: NOW + 31 }), 'token_not_yet')
  t.equal(await code({ aud: 'throughline' }), 'token_audience')
})

await t.test('a remembered server token expires all the same', async t => {
  const signer = hs256()
  const { trust, clock } = await open(t, { sites: { acme: site(signer) } })
  const text = token(signer, server())
  const first = await trust.verifyServer(text)
  t.equal(await trust.verifyServer(text), first, 'is remembered')
  clock.seconds = NOW + 629
  t.equal(await trust.verifyServer(text), first)
  clock.seconds = NOW + 630
  t.equal((await refusal(trust.verifyServer(text))).code, 'token_expired')
})

await t.test('a refused server token is asked about anew', async t => {
  const signer = hs256()
  const { trust, clock } = await open(t, { sites: { acme: site(signer) } })
  const text = token(signer, server({ nbf: NOW + 60 }))
  t.equal((await refusal(trust.verifyServer(text))).code, 'token_not_yet')
  clock.seconds = NOW + 30
  t.ok(await trust.verifyServer(text))
})

await t.test('a remembered server token is forgotten when its key leaves the site file', async t => {
  const [old, next] = [hs256(), hs256()]
  const { trust, write } = await open(t, { sites: { acme: site(old) } })
  const text = token(old, server())
  await trust.verifyServer(text)
  let changes = 0
  trust.onChange(() => changes++)
  write('sites', { acme: site(next) })
  await until(() => changes === 1, { what: 'the new site file' })
  t.equal((await refusal(trust.verifyServer(text))).code, 'token_signature')
})

await t.test('a server token that is being verified while its key leaves is not remembered', async t => {
  const [old, next] = [eddsa(), eddsa()]
  const { trust, write } = await open(t, { sites: { acme: site(old) } })
  const tokens = Array.from({ length: 3000 }, (_, index) => token(old, server({ jti: index })))
  const changes: true[] = []
  trust.onChange(() => changes.push(true))
  const asked: string[] = []
  const answers: Promise<unknown>[] = []
  write('sites', { acme: site(next) })
  while (changes.length === 0) {
    // Some are under way at any moment, so some are when the change comes.
    const more = tokens.splice(0, 5)
    asked.push(...more)
    answers.push(...more.map(text => trust.verifyServer(text).catch((error: unknown) => error)))
    await new Promise(setImmediate)
  }
  await Promise.all(answers)
  t.ok(asked.length > 0)
  for (const text of asked) {
    const { code } = await refusal(trust.verifyServer(text))
    if (code !== 'token_signature') t.fail(`refused by ${code}`)
  }
})

await t.test("a remembered server token ends with its licence's expiry, and with its revocation", async t => {
  const [signer, operator] = [eddsa(), eddsa()]
  const { trust, clock, write } = await open(t, { operator: operator.jwk, revoked: [] })
  const pass = licence(operator, { sub: 'acme', jti: 'lic-9', exp: NOW + 60, site: site(signer) })
  const text = token(signer, server())
  await trust.verifyServer(text, pass)
  clock.seconds = NOW + 90
  t.equal((await refusal(trust.verifyServer(text, pass))).code, 'licence_expired')
  clock.seconds = NOW
  t.ok(await trust.verifyServer(text, pass))
  write('revoked', ['lic-9'])
  await until(() => trust.isRevoked('lic-9'), { what: 'the revocation' })
  t.equal((await refusal(trust.verifyServer(text, pass))).code, 'licence_revoked')
})

await t.test('a server token that was verified with a licence still needs it', async t => {
  const [signer, operator] = [eddsa(), eddsa()]
  const { trust } = await open(t, { operator: operator.jwk })
  const text = token(signer, server())
  await trust.verifyServer(text, licence(operator, { sub: 'acme', site: site(signer) }))
  t.equal((await refusal(trust.verifyServer(text))).code, 'unknown_site')
  const other = licence(operator, { sub: 'other', site: site(signer) })
  t.equal((await refusal(trust.verifyServer(text, other))).code, 'licence_site')
})
