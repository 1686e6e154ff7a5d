import { join } from 'node:path'
import { t } from 'tap'
import { readNodeIce } from '../../src/trust/ice.ts'
import { TrustConfigError } from '../../src/trust/wrong.ts'
import { until } from '../support/until.ts'
import { type Claims, eddsa, hs256, licence, open, refusal, site, token, user } from './signing.ts'

const secret = 'north-of-the-river-0'
const URLS = [
  'stun:a.example',
  'stuns:a.example:443',
  'turn:192.0.2.1:3478',
  'turn:a.example?transport=udp',
  'turns:[2001:db8::1]:443?transport=tcp',
]

async function fault(given: string): Promise<TrustConfigError> {
  const error = await readNodeIce(given).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (error instanceof TrustConfigError) return error
  throw new Error(`${given}: a TrustConfigError was expected`)
}

await t.test('the variable may be JSON or the path of a file, and its ttl is an hour if left out', async t => {
  const text = JSON.stringify({ urls: URLS, secret })
  const expected = { stun: URLS.slice(0, 2), turn: URLS.slice(2), secret, ttl: 3600 }
  t.strictSame(await readNodeIce(text), expected)
  t.strictSame(await readNodeIce(join(t.testdir({ 'ice.json': text }), 'ice.json')), expected)
  t.equal(await readNodeIce(undefined), undefined)
  t.match(await readNodeIce('{"urls": ["stun:a.example"]}'), { turn: [], secret: undefined })
})

await t.test('a wrong one stops the start, names what is wrong, and does not tell the secret', async t => {
  const good: Claims = { urls: ['turn:a.example'], secret }
  const cases: [changes: Claims, words: RegExp][] = [
    [{ secrets: secret }, /^expected only urls, secret, ttl, found "secrets"$/],
    [{ urls: undefined }, /^urls: expected a list, found nothing$/],
    [{ urls: [] }, /^urls: expected at least one URL, found none$/],
    [{ secret: undefined }, /^secret: expected coturn's static-auth-secret, 16 to 256 .*, found nothing$/],
    [{ secret: 'north-of-theriv' }, /^secret: expected .* found another string$/],
    [{ secret: 'north of the river' }, /^secret: expected .* found another string$/],
    [{ secret: 'n\u00f6rth-of-the-river' }, /^secret: expected .* found another string$/],
    [{ urls: ['stun:a.example'] }, /^secret: expected none, since no URL begins with turn: or turns:$/],
    [{ ttl: 59 }, /^ttl: expected whole seconds, 60 to 86400, found 59$/],
    [{ ttl: 86_401 }, /^ttl: expected whole seconds, 60 to 86400, found 86401$/],
    [{ ttl: '3600' }, /^ttl: expected whole seconds, 60 to 86400, found a string$/],
    [{ ttl: null }, /^ttl: expected whole seconds, 60 to 86400, found null$/],
  ]
  const wrongUrls = ['turn://a.example', 'https://a.example', 'turn:a.example?transport=tls', 'stun:a?transport=udp']
  for (const url of [...wrongUrls, 'turn:', 'turn:u:p@a.example', 'turn:a.example ', 'TURN:a.example', 7]) {
    cases.push([{ urls: ['turn:a.example', url] }, /^urls\[1\]: expected a URL such as turn:.*, without slashes/])
  }
  for (const [changes, words] of cases) {
    const { variable, message } = await fault(JSON.stringify({ ...good, ...changes }))
    t.equal(variable, 'THROUGHLINE_ICE')
    t.match(message, words)
    t.notMatch(message, /north|n\u00f6rth/)
  }
  t.match(await fault('/no/such/file'), { message: /^\/no\/such\/file: expected a readable file/ })
})

await t.test('JSON that was quoted once too often is not told back', async t => {
  const { message } = await fault(`'${JSON.stringify({ urls: ['turn:a.example'], secret })}'`)
  t.match(message, /^expected a readable file or inline JSON/)
})

await t.test('a site of the site file may have its own, which is a fault there when it is wrong', async t => {
  const signer = hs256()
  const ice = { urls: ['turn:a.example'], secret, ttl: 600 }
  const { trust, write, warnings } = await open(t, { sites: { acme: { ...site(signer), ice }, none: site(signer) } })
  t.strictSame((await trust.verifyUser(token(signer, user()))).site.ice, { stun: [], turn: ice.urls, secret, ttl: 600 })
  t.equal((await trust.verifyUser(token(signer, user({ iss: 'none' })))).site.ice, undefined)
  write('sites', { acme: { ...site(signer), ice: { ...ice, ttl: 1 } } })
  await until(() => warnings.length > 0, { what: 'a word about it' })
  t.match(warnings[0], /acme\.ice\.ttl: expected whole seconds, 60 to 86400, found 1$/)
  t.notMatch(warnings.join(), secret)
})

await t.test('a licence, which is public, may have none', async t => {
  const [operator, signer] = [eddsa(), eddsa()]
  const { trust } = await open(t, { operator: operator.jwk })
  const ice = { urls: ['stun:a.example'] }
  const pass = licence(operator, { sub: 'acme', site: { ...site(signer), ice } })
  const { code, message } = await refusal(trust.verifyUser(token(signer, user()), pass))
  t.equal(code, 'licence_malformed')
  t.match(message, /site\.ice is wrong/)
})
