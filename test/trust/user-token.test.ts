import { t } from 'tap'
import { PRESENCE, READ, SEND } from '../../src/trust/permissions.ts'
import { base64url, type Claims, eddsa, es256, hs256, NOW, open, refusal, site, token, user } from './signing.ts'

await t.test('a token signed by the site with HS256, EdDSA or ES256 names its user and threads', async t => {
  for (const signer of [hs256(), eddsa(), es256()]) {
    const { trust } = await open(t, { sites: { acme: site(signer) } })
    const threads = { 42: ['read', 'send'], 43: ['presence', 'fly', 'constructor'], 44: [] }
    const identity = await trust.verifyUser(token(signer, user({ threads })))
    t.equal(identity.site.id, 'acme', signer.alg)
    t.equal(identity.user, '7')
    t.strictSame([...identity.threads], Object.entries({ 42: READ | SEND, 43: PRESENCE, 44: 0 }))
    t.strictSame([identity.issuedAt, identity.expires, identity.licence], [NOW, NOW + 600, undefined])
  }
})

await t.test(
  'an Ed25519 key verifies tokens that say EdDSA and tokens that say Ed25519, whichever the key says',
  async t => {
    for (const named of [{}, { alg: 'EdDSA' }, { alg: 'Ed25519' }]) {
      const signer = eddsa()
      const { trust } = await open(t, { sites: { acme: { keys: [{ ...signer.jwk, ...named }], origins: [] } } })
      for (const alg of ['EdDSA', 'Ed25519']) {
        t.equal((await trust.verifyUser(token(signer, user(), { alg }))).user, '7', alg)
      }
    }
  },
)

await t.test(
  'the published examples of RFC 7515 pass the signature check and are refused for their audience',
  async t => {
    // Appendix A.1 (HS256) and A.3 (ES256): iss is joe, exp 1300819380, and there is no aud.
    const payload = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
    const examples = [
      {
        jwk: {
          kty: 'oct',
          k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
        },
        text: `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
      },
      {
        jwk: {
          kty: 'EC',
          crv: 'P-256',
          x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
          y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
        },
        text: `eyJhbGciOiJFUzI1NiJ9.${payload}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
      },
    ]
    for (const { jwk, text } of examples) {
      const { trust } = await open(t, { sites: { joe: { keys: [jwk], origins: [] } } })
      t.equal((await refusal(trust.verifyUser(text))).code, 'token_audience', jwk.kty)
    }
  },
)

await t.test("an empty list of threads is none: PHP's json_encode writes an empty map so", async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  t.equal((await trust.verifyUser(token(signer, user({ threads: [] })))).threads.size, 0)
})

/** Returns the payload of a good token with a member that JSON.stringify would not write. */
const withText = (member: string): string => JSON.stringify(user()).replace('{', `{${member},`)

await t.test('each wrong claim has its own code and words', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const cases: [claims: Claims | string, code: string, words: RegExp][] = [
    [user({ iss: 'other' }), 'unknown_site', /site file or send its licence \(other\)$/],
    [user({ iss: undefined }), 'unknown_site', /iss is missing/],
    [user({ iss: 'Acme' }), 'unknown_site', /not a site id/],
    [user({ iss: ['acme'] }), 'unknown_site', /not a site id/],
    [user({ aud: undefined }), 'token_audience', /throughline was expected/],
    [user({ aud: 'throughline:api' }), 'token_audience', /another purpose/],
    [user({ aud: ['throughline:grant', 'Throughline'] }), 'token_audience', /another purpose/],
    [user({ aud: { throughline: true } }), 'token_audience', /another purpose/],
    [user({ exp: undefined }), 'token_exp_missing', /has no exp/],
    [user({ exp: `${NOW + 600}` }), 'token_claims', /exp is not a number/],
    [user({ exp: null }), 'token_claims', /exp is not a number/],
    [withText('"nbf":1e999'), 'token_claims', /nbf is not a number/],
    [user({ iat: undefined }), 'token_claims', /iat is missing/],
    [user({ iat: 'now' }), 'token_claims', /iat is not a number/],
    [user({ sub: undefined }), 'token_user', /not a user id/],
    [user({ sub: '' }), 'token_user', /not a user id/],
    [user({ sub: 'a b' }), 'token_user', /not a user id/],
    [user({ sub: 'a\n' }), 'token_user', /not a user id/],
    [user({ sub: '..' }), 'token_user', /not a user id/],
    [user({ sub: '__proto__' }), 'token_user', /not a user id/],
    [user({ sub: 'x'.repeat(129) }), 'token_user', /not a user id/],
    [user({ sub: 1.5 }), 'token_user', /not a user id/],
    [user({ threads: ['42'] }), 'token_claims', /threads is not an object/],
    [user({ threads: null }), 'token_claims', /threads is not an object/],
    [user({ threads: { 42: 'read' } }), 'token_claims', /no list of words for 42/],
    [user({ threads: { 42: ['read', 1] } }), 'token_claims', /no list of words for 42/],
    [user({ threads: { 'a b': ['read'] } }), 'token_claims', /not a thread id/],
    [withText('"threads":{"__proto__":["read"]}'), 'token_claims', /not a thread id/],
    [user({ watch: false }), 'token_claims', /watch is neither/],
    [user({ watch: ['7', ''] }), 'token_claims', /watch is neither/],
    [user({ watch: { 0: '7' } }), 'token_claims', /watch is neither/],
    [user({ info: 'é'.repeat(512) }), 'token_claims', /info is larger than 1024 bytes/],
    [withText(`"info":${deep}`), 'token_claims', /info is larger/],
  ]
  for (const [claims, code, words] of cases) {
    const name = typeof claims === 'string' ? claims.slice(0, 60) : JSON.stringify(claims).slice(0, 120)
    t.match(await refusal(trust.verifyUser(token(signer, claims))), { code, message: words }, name)
  }
})

await t.test('what is well-formed at its edges is accepted', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const accept = (claims: Claims) => trust.verifyUser(token(signer, user(claims)))
  t.equal((await accept({ sub: 7 })).user, '7', 'an integer as sub')
  t.equal((await accept({ sub: Number.MAX_SAFE_INTEGER })).user, '9007199254740991')
  t.equal((await accept({ aud: ['x', 'throughline'] })).user, '7', 'a list of audiences')
  t.equal((await accept({ threads: undefined })).threads.size, 0, 'no threads')
  t.ok(await accept({ watch: true }))
  t.ok(await accept({ watch: ['7', 8] }))
  t.ok(await accept({ info: 'é'.repeat(511) }), '1,024 bytes of JSON')
  t.ok(await accept({ info: null }))
  t.strictSame((await accept({ exp: NOW + 1.9, iat: NOW - 0.1 })).expires, NOW + 1, 'a fraction is cut off')
})

await t.test('every time check counts to the second, with 30 s of leeway', async t => {
  const signer = hs256()
  const { trust, clock } = await open(t, { sites: { acme: site(signer) } })
  const outcome = async (claims: Claims, seconds = NOW): Promise<string> => {
    clock.seconds = seconds
    return trust.verifyUser(token(signer, user(claims))).then(
      () => 'accepted',
      error => error.code,
    )
  }
  t.equal(await outcome({ exp: NOW }, NOW + 29.999), 'accepted')
  t.equal(await outcome({ exp: NOW }, NOW + 30), 'token_expired')
  t.equal(await outcome({ exp: NOW + 86_400 + 30 }), 'accepted')
  t.equal(await outcome({ exp: NOW + 86_400 + 31 }), 'token_exp_far')
  t.equal(await outcome({ iat: NOW + 30 }), 'accepted')
  t.equal(await outcome({ iat: NOW + 31 }), 'token_not_yet')
  t.equal(await outcome({ nbf: NOW + 30 }), 'accepted')
  t.equal(await outcome({ nbf: NOW + 31 }), 'token_not_yet')
  t.equal(await outcome({ iat: 0, nbf: 0 }), 'accepted')
  t.equal(await outcome({ exp: -1 }), 'token_expired')
  t.equal(await outcome({ exp: 1e308 }), 'token_exp_far')
})

await t.test(
  'what is checked first is told first: site, key, signature, audience, times, user, other claims',
  async t => {
    const signer = eddsa('k')
    const { trust } = await open(t, { sites: { acme: site(signer) } })
    const wrong = { aud: 'x', exp: NOW - 600, sub: '', threads: 1 }
    const outcome = async (text: string) => (await refusal(trust.verifyUser(text))).code
    t.equal(await outcome(token(eddsa('q'), user({ ...wrong, iss: 'x' }))), 'unknown_site')
    t.equal(await outcome(token(eddsa('q'), user(wrong))), 'token_key')
    t.equal(await outcome(token(eddsa('k'), user(wrong))), 'token_signature')
    t.equal(await outcome(token(signer, user(wrong))), 'token_audience')
    t.equal(await outcome(token(signer, user({ ...wrong, aud: 'throughline' }))), 'token_expired')
    t.equal(await outcome(token(signer, user({ sub: '', threads: 1 }))), 'token_user')
    t.equal(await outcome(token(signer, user({ threads: 1 }))), 'token_claims')
  },
)

await t.test('kid chooses among several keys and is required then', async t => {
  const [old, next] = [hs256('2025'), hs256('2026')]
  const { trust } = await open(t, { sites: { acme: site(old, next), solo: site(old) } })
  for (const signer of [old, next]) t.ok(await trust.verifyUser(token(signer, user())))
  const code = async (text: string) => (await refusal(trust.verifyUser(text))).code
  t.equal(await code(token(old, user(), { kid: undefined })), 'token_key')
  t.equal(await code(token(old, user(), { kid: '2024' })), 'token_key')
  t.equal(await code(token(old, user(), { kid: ['2025'] })), 'token_key')
  t.equal(await code(token(old, user(), { kid: '2026' })), 'token_signature')
  t.ok(await trust.verifyUser(token(old, user({ iss: 'solo' }), { kid: undefined })), 'an only key needs no kid')
  t.equal(await code(token(old, user({ iss: 'solo' }), { kid: '2026' })), 'token_key')
})

await t.test('a header is read from each token, whatever the one before began with', async t => {
  const [old, next] = [hs256('2025'), hs256('2026')]
  const { trust } = await open(t, { sites: { acme: site(old, next) } })
  const outcome = (text: string) =>
    trust.verifyUser(text).then(
      ({ user }) => String(user),
      (error: { code: string }) => error.code,
    )
  // As long as a good one, and each after a good one whose header is remembered.
  for (const [header, expected] of [
    [{ kid: '2026' }, 'token_signature'],
    [{ kid: '2027' }, 'token_key'],
    [{ alg: 'HS512' }, 'token_algorithm'],
    [{ crit: [] }, 'token_malformed'],
    [{}, '7'],
  ] as const) {
    t.equal(await outcome(token(old, user())), '7')
    t.equal(await outcome(token(old, user(), header)), expected, JSON.stringify(header))
    t.equal(await outcome(token(next, user())), '7')
  }
})

await t.test('what is not a compact JWS with JSON objects is malformed', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const good = token(signer, user())
  const [head, body, signature] = good.split('.')
  const huge = token(signer, user({ info2: 'x'.repeat(50_000) }))
  t.ok(huge.length > 65_536)
  const cases = {
    'an empty text': '',
    'two parts': `${head}.${body}`,
    'four parts': `${good}.${signature}`,
    'white space': ` ${good}`,
    'a line break at the end': `${good}\n`,
    'padded base64': `${head}=.${body}.${signature}`,
    'no JSON in the header': `${base64url('{')}.${body}.${signature}`,
    'a list as header': `${base64url('[]')}.${body}.${signature}`,
    'a string as payload': token(signer, '"acme"'),
    'null as payload': token(signer, 'null'),
    'a payload that is not UTF-8': `${head}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.${signature}`,
    'a byte order mark': token(signer, `\uFEFF${JSON.stringify(user())}`),
    'no alg': token(signer, user(), { alg: undefined }),
    'a critical extension': token(signer, user(), { crit: ['exp'], exp: 1 }),
    'an unencoded payload (RFC 7797)': token(signer, user(), { crit: ['b64'], b64: false }),
    'more than 64 KiB': huge,
    'a million dots': '.'.repeat(1_000_000),
  }
  for (const [name, text] of Object.entries(cases)) {
    t.match(await refusal(trust.verifyUser(text)), { code: 'token_malformed', message: /compact JWS/ }, name)
  }
  t.ok(await trust.verifyUser(token(signer, user({ other: 'x'.repeat(40_000) }))), 'a large claim of no concern to us')
})

await t.test('thousands of threads in one token cost no more than their names', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const threads = Object.fromEntries(Array.from({ length: 2500 }, (_, index) => [`t${index}`, ['read']]))
  t.equal((await trust.verifyUser(token(signer, user({ threads })))).threads.size, 2500)
})

await t.test('no refusal quotes the token, a key or what a claim says', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  const marker = 'marker-5d1c'
  const claims: Claims[] = [
    { aud: marker },
    { exp: marker },
    { sub: `${marker} ` },
    { threads: { [`${marker} `]: [] } },
    { threads: marker },
    { watch: marker },
    { info: marker.repeat(200) },
  ]
  for (const claim of claims) {
    const text = token(signer, user(claim))
    const { message } = await refusal(trust.verifyUser(text))
    t.notMatch(message, marker, JSON.stringify(claim).slice(0, 60))
    t.notMatch(message, text.slice(0, 20))
  }
})
