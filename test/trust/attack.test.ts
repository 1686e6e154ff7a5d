import { createHmac, randomInt } from 'node:crypto'
import { t } from 'tap'
import { Refusal } from '../../src/protocol/refusal.ts'
import { base64url, eddsa, es256, hs256, licence, NOW, open, refusal, server, site, token, user } from './signing.ts'

// What a mutation may put into a token.
const PIECES = [
  '.',
  '..',
  '=',
  '\0',
  'é',
  '{}',
  'null',
  base64url('{"alg":"none"}'),
  base64url('{}'),
  'A'.repeat(70_000),
]

await t.test('alg none is refused in any spelling, with and without a signature', async t => {
  const signer = hs256()
  const { trust } = await open(t, { sites: { acme: site(signer) } })
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const input = `${base64url(JSON.stringify({ alg }))}.${base64url(JSON.stringify(user()))}`
    const refused = alg === '' ? 'token_malformed' : 'token_algorithm'
    t.equal((await refusal(trust.verifyUser(`${input}.`))).code, refused, `"${alg}", unsigned`)
    const signed = `${input}.${signer.sign(input).toString('base64url')}`
    t.equal((await refusal(trust.verifyUser(signed))).code, refused, `"${alg}", signed`)
  }
})

await t.test("an HMAC keyed with the text of a site's public key is refused", async t => {
  for (const victim of [eddsa(), es256()]) {
    const { trust } = await open(t, { sites: { acme: site(victim) } })
    const { x } = victim.jwk
    const secrets = [JSON.stringify(victim.jwk), String(x), Buffer.from(String(x), 'base64url')]
    for (const secret of secrets) {
      const forged = { ...victim, sign: (input: string) => createHmac('sha256', secret).update(input).digest() }
      const text = token(forged, user(), { alg: 'HS256' })
      t.match(await refusal(trust.verifyUser(text)), { code: 'token_algorithm', message: /the key decides/ })
      t.equal((await refusal(trust.verifyUser(token(forged, user())))).code, 'token_signature', 'under its own alg')
    }
  }
})

await t.test("a header cannot choose another algorithm than the key's, nor bring a key along", async t => {
  const [secret, edwards, curve, attacker] = [hs256('h'), eddsa('e'), es256('c'), eddsa('e')]
  const { trust } = await open(t, { sites: { acme: site(secret, edwards, curve) } })
  for (const signer of [secret, edwards, curve]) {
    for (const alg of ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519', 'A128KW']) {
      const own = alg === signer.alg || (signer.alg === 'EdDSA' && alg === 'Ed25519')
      if (own) continue
      const text = token(signer, user(), { alg })
      t.equal((await refusal(trust.verifyUser(text))).code, 'token_algorithm', `${signer.alg} called ${alg}`)
    }
  }
  const brought = token(attacker, user(), { jwk: attacker.jwk, jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' })
  t.equal((await refusal(trust.verifyUser(brought))).code, 'token_signature')
})

await t.test("one site's key does not speak for another", async t => {
  const [acme, rival] = [hs256(), hs256()]
  const { trust } = await open(t, { sites: { acme: site(acme), rival: site(rival) } })
  t.equal((await refusal(trust.verifyUser(token(rival, user())))).code, 'token_signature')
  t.equal((await refusal(trust.verifyUser(token(acme, user({ iss: 'rival' }))))).code, 'token_signature')
})

await t.test('a payload exchanged under a signature is refused', async t => {
  for (const signer of [hs256(), eddsa(), es256()]) {
    const { trust } = await open(t, { sites: { acme: site(signer) } })
    const [head, , signature] = token(signer, user()).split('.')
    const forged = `${head}.${base64url(JSON.stringify(user({ sub: '1' })))}.${signature}`
    t.match(
      await refusal(trust.verifyUser(forged)),
      { code: 'token_signature', message: /does not verify/ },
      signer.alg,
    )
    for (const text of [
      `${head}.${base64url(JSON.stringify(user()))}.`,
      `${head}.${base64url('{"iss":"acme"}')}.AAAA`,
    ]) {
      t.equal((await refusal(trust.verifyUser(text))).code, 'token_signature', 'none or too short')
    }
  }
})

await t.test('a token for users opens no API, a server token no connection, a licence neither', async t => {
  const [signer, operator] = [eddsa(), eddsa()]
  const { trust } = await open(t, { operator: operator.jwk })
  const text = licence(operator, { sub: 'acme', site: site(signer) })
  t.equal((await refusal(trust.verifyServer(token(signer, user()), text))).code, 'token_audience')
  t.equal((await refusal(trust.verifyUser(token(signer, server()), text))).code, 'token_audience')
  t.equal((await refusal(trust.verifyUser(text, text))).code, 'licence_site')
  const named = licence(operator, { iss: 'acme', sub: 'acme', site: site(signer) })
  t.equal((await refusal(trust.verifyUser(named, text))).code, 'token_signature')
})

await t.test('a few thousand mutated tokens end in a Refusal or say what was signed', async t => {
  const operator = eddsa('op')
  const signers = [hs256('a'), eddsa('b'), es256('c')]
  const guest = eddsa('g')
  const { trust } = await open(t, { sites: { acme: site(...signers) }, operator: operator.jwk })
  const pass = licence(operator, { sub: 'guest', site: site(guest) })
  const claims = user({ threads: { 42: ['read'] } })
  const seeds = [
    ...signers.map(signer => ({ text: token(signer, claims), pass: undefined })),
    { text: token(guest, { ...claims, iss: 'guest' }), pass },
  ]
  const seed = randomInt(2 ** 31)
  const random = generator(seed)
  let accepted = 0
  for (let round = 0; round < 4000; round++) {
    const start = seeds[round % seeds.length] ?? { text: '', pass }
    const mutatesPass = start.pass !== undefined && random(2) === 0
    const text = mutatesPass ? start.text : mutate(start.text, random)
    const given = mutatesPass ? mutate(pass, random) : start.pass
    try {
      const { user, threads, expires } = await trust.verifyUser(text, given)
      accepted++
      // base64 has spare bits in its last character, so a changed text may still be the signed one.
      if (user !== '7' || [...threads.keys()].join() !== '42' || expires !== NOW + 600) {
        t.fail(`seed ${seed}, round ${round}: a changed token was accepted: ${text} ${given ?? ''}`)
      }
    } catch (error) {
      if (!(error instanceof Refusal)) t.fail(`seed ${seed}, round ${round}: ${String(error)}: ${text} ${given ?? ''}`)
    }
  }
  t.ok(accepted < 400, `seed ${seed}: ${accepted} of 4000 accepted`)
})

type Random = (below: number) => number

/** A small generator that can be started again from its seed (mulberry32). */
function generator(seed: number): Random {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function mutate(text: string, random: Random): string {
  const at = random(text.length)
  const piece = PIECES[random(PIECES.length)] ?? ''
  switch (random(7)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random(7))) + text.slice(at + 1)
    case 1:
      return text.slice(0, at)
    case 2:
      return text.slice(0, at) + piece + text.slice(at)
    case 3:
      return text.slice(0, at) + text.slice(at + 1 + random(9))
    case 4:
      return text.split('.').toReversed().join('.')
    case 5:
      return changePart(text, 0, random)
    default:
      return changePart(text, 1, random)
  }
}

/** Changes the JSON inside a part, so that it stays base64url. */
function changePart(text: string, index: number, random: Random): string {
  const parts = text.split('.')
  const json = Buffer.from(parts[index] ?? '', 'base64url')
  json[random(json.length)] = random(256)
  parts[index] = json.toString('base64url')
  return parts.join('.')
}
