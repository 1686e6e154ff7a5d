/**
 * Tokens, grants, server tokens and licences that are not what they seem. Two kinds: texts that nobody signed, of which none
 * may be accepted; and odd claims that a site's or the operator's own key signed, which may be accepted only for what they say.
 */
import { t } from 'tap'
import { CODES } from '../../src/protocol/codes.ts'
import { Refusal } from '../../src/protocol/refusal.ts'
import type { ServerIdentity, UserIdentity } from '../../src/trust/trust.ts'
import { damaged, heapBytes, jsonText, nested, twisted } from '../support/damage.ts'
import { Chance, SEED } from '../support/random.ts'
import {
  base64url,
  type Claims,
  eddsa,
  es256,
  hs256,
  licence,
  NOW,
  open,
  server,
  type Signer,
  site,
  token,
  user,
} from '../trust/signing.ts'

const INPUTS = 24_000
/** Server tokens and licences that were accepted are remembered on purpose; there are a few thousand of them here. */
const GROWTH_BYTES = 16 * 1024 * 1024
const LEEWAY = 30
const LIFETIMES = { user: 86_400, grant: 86_400, server: 3600 }
const AUDIENCES = { user: 'throughline', grant: 'throughline:grant', server: 'throughline:api' }

t.setTimeout(300_000)

const chance = new Chance(SEED)
const operator = eddsa('op')
const own = [hs256('a'), eddsa('b'), es256('c')]
const guest = es256('g')
/** Keys under the names of others, which nobody trusts. */
const forgers = [hs256('a'), eddsa('b'), es256('c'), eddsa('op'), es256('g')]

type Kind = 'user' | 'grant' | 'server' | 'licence'
const KINDS: readonly Kind[] = ['user', 'grant', 'server', 'licence']

const threads = { 42: ['read', 'send', 'presence'], x: [] }
const claimsOf: Record<Exclude<Kind, 'licence'>, Claims> = {
  user: user({ threads, watch: ['8', 9], info: { name: 'é' }, nbf: NOW, jti: 'j' }),
  grant: user({ aud: ['throughline:grant', 'other'], threads }),
  server: server({ scope: 'publish manage' }),
}
const guestSite = {
  ...site(guest),
  origins: ['https://example.com'],
  limits: { connections: 9 },
  types: ['typing', 'a.*'],
}
const pass = licence(operator, { sub: 'guest', site: guestSite })

const HEADERS: Claims[] = [
  ...['none', 'None', '', 'HS256', 'HS512', 'RS256', 'ES256', 'ES512', 'EdDSA', 'Ed25519', 'dir'].map(alg => ({ alg })),
  ...['a', 'b', 'c', 'op', '', '__proto__', 'constructor', '../a'].map(kid => ({ kid })),
  ...[null, 0, ['a'], { a: 1 }].flatMap(odd => [{ kid: odd }, { alg: odd }, { typ: odd }, { crit: odd }, { b64: odd }]),
  { crit: ['b64'], b64: false },
  { crit: ['b64'], b64: true },
  { crit: ['exp'], exp: NOW },
  { zip: 'DEF' },
  { typ: 'licence+jwt' },
  { typ: 'JWT' },
  { jwk: forgers[1]!.jwk, jku: 'http://127.0.0.1:1/', x5c: ['AAAA'] },
]

interface Input {
  readonly kind: Kind
  readonly text: string
  /** Who signed it as it is; undefined when nobody did. */
  readonly signer: Signer | undefined
}

const seedsOf = (kind: Kind, signers: readonly Signer[]) =>
  signers.map(signer => ({ kind, signer, text: signed(kind, signer) }))
const byKind = {
  user: seedsOf('user', [...own, guest]),
  grant: seedsOf('grant', own),
  server: seedsOf('server', [...own, guest]),
  licence: seedsOf('licence', [operator]),
}
const seeds = Object.values(byKind).flat()

await t.test(`${INPUTS} tokens and licences are refused, or say what was signed (SEED=${SEED})`, async t => {
  const { trust } = await open(t, { sites: { acme: site(...own) }, operator: operator.jwk })
  const visitor = signed('user', guest)
  const seen: Record<string, number> = {}
  let base = Infinity
  for (let i = 0; i < INPUTS; i++) {
    if (i === INPUTS / 4) base = heapBytes()
    const input = chance.is(0.5) ? unsigned() : oddly()
    const outcome = await attempt(input)
    seen[outcome] = (seen[outcome] ?? 0) + 1
    if (!outcome.startsWith('!')) continue
    t.fail(`${outcome}: input ${i} of SEED=${SEED}, ${input.kind}: ${input.text.slice(0, 4000)}`)
    return
  }
  const growth = heapBytes() - base
  t.comment(`${INPUTS} inputs, SEED=${SEED}, heap ${Math.round(growth / 1024)} KiB more: ${JSON.stringify(seen)}`)
  t.ok(growth < GROWTH_BYTES, `the heap has grown by ${growth} bytes`)
  // Else the fuzzer has gone blind. All that trust says, but for what needs another file, another time or no token.
  const said = Object.keys(CODES).filter(code => /^(token|licence)_/.test(code) && !/_(missing|revoked)$/.test(code))
  for (const code of ['token_exp_missing', 'unknown_site', ...said, ...KINDS.map(kind => `${kind} accepted`)]) {
    t.ok((seen[code] ?? 0) > 0, `${code}: ${seen[code]} times`)
  }

  async function attempt(input: Input): Promise<string> {
    const { kind, text } = input
    try {
      const identity = await verify(kind, text)
      return faultOf(input, identity) ?? `${kind} accepted`
    } catch (error) {
      if (!(error instanceof Refusal)) return `! threw ${String(error)}`
      return Object.hasOwn(CODES, error.code) && error.code !== 'internal' ? error.code : `! refused by ${error.code}`
    }
  }

  function verify(kind: Kind, text: string): Promise<UserIdentity | ServerIdentity> {
    const beside = chance.is(0.9) ? pass : undefined
    if (kind === 'licence') return trust.verifyUser(visitor, text)
    if (kind === 'server') return trust.verifyServer(text, beside)
    return kind === 'user' ? trust.verifyUser(text, beside) : trust.verifyGrant(text)
  }
})

/** Returns why something must not have been accepted, or not for this. */
function faultOf({ kind, text, signer }: Input, identity: UserIdentity | ServerIdentity): string | undefined {
  // A text with the same bytes under its signature, and the same bytes as signature, is the one that was signed.
  const by = signer ?? seeds.find(seed => seed.kind === kind && isSame(seed.text, text))?.signer
  if (by === undefined) return '! accepted what nobody signed'
  const [header, claims] = text.split('.', 2).map(part => JSON.parse(inside(part).toString()) as Claims)
  const { alg, kid } = header!
  if (alg !== by.alg && !(by.alg === 'EdDSA' && alg === 'Ed25519')) return '! another alg'
  if (kid !== undefined && kid !== by.jwk['kid']) return '! another kid'
  const told = kind === 'licence' ? toldByLicence(identity as UserIdentity) : toldByToken(kind, identity)
  for (const [claim, value] of Object.entries(told)) {
    const says = claims![claim]
    const same = claim === 'threads' ? Object.keys((says as object | undefined) ?? {}).join() === value : says === value
    // An integer stands for its decimal string; a time may have a fraction, which is not kept.
    if (!same && !(typeof says === 'number' && [String(says), Math.floor(says)].includes(value as string | number))) {
      return `! ${claim} is ${String(value)}`
    }
  }
  const { exp, iat = NOW, nbf = NOW, aud } = claims as Record<string, number>
  if (!(exp! > NOW - LEEWAY)) return `! exp is ${exp}`
  if (kind === 'licence') return undefined
  if (exp! > NOW + LIFETIMES[kind] + LEEWAY) return `! exp is ${exp}`
  if (Math.max(iat, nbf) > NOW + LEEWAY) return `! iat is ${iat}, nbf ${nbf}`
  return [aud].flat().includes(AUDIENCES[kind] as never) ? undefined : `! aud is ${aud}`
}

function toldByLicence({ licence, site }: UserIdentity): Claims {
  return { sub: site.id, jti: licence?.id, exp: licence?.expires }
}

function toldByToken(kind: Kind, identity: UserIdentity | ServerIdentity): Claims {
  const told = { iss: identity.site.id, exp: identity.expires }
  if (kind === 'server') return told
  const { user, threads, issuedAt } = identity as UserIdentity
  return { ...told, sub: user, iat: issuedAt, threads: [...threads.keys()].join() }
}

function isSame(one: string, other: string): boolean {
  const [head, body, signature = ''] = one.split('.')
  return other.startsWith(`${head}.${body}.`) && inside(other.split('.')[2]!).equals(inside(signature))
}

function inside(part: string): Buffer {
  return Buffer.from(part, 'base64url')
}

function signed(kind: Kind, signer: Signer, payload?: string, header: Claims = {}): string {
  if (kind === 'licence') {
    const claims = { iss: 'operator', iat: NOW, exp: NOW + 86_400, jti: 'lic-1', sub: 'guest', site: guestSite }
    return token(signer, payload ?? claims, { typ: 'licence+jwt', ...header })
  }
  return token(signer, payload ?? { ...claimsOf[kind], iss: signer === guest ? 'guest' : 'acme' }, header)
}

/** A text that was signed in another form, by someone else, or not at all. */
function unsigned(): Input {
  const { kind, text } = chance.pick(byKind[chance.pick(KINDS)])
  const parts = text.split('.')
  const part = chance.below(3)
  const swapped = chance.pick(seeds).text.split('.')[part]!
  const bytes = inside(parts[part]!)
  const put = (piece: string): string => parts.with(part, piece).join('.')
  const changed = chance.pick([
    () => damaged(chance, Buffer.from(text)).toString(chance.is(0.5) ? 'latin1' : 'utf8'),
    () => put(damaged(chance, bytes).toString('base64url')),
    () => put(flipped(bytes).toString('base64url')),
    () => put(swapped),
    () =>
      put(chance.pick(['', '=', '\0', 'é', `${parts[part]}=`, base64url('{}'), base64url('null'), 'A'.repeat(70_000)])),
    () => `${base64url(JSON.stringify({ alg: 'none' }))}.${parts[1]}.`,
    () => signed(kind, chance.pick(forgers)),
    () => chance.pick(seeds).text,
    () => `${text}.${text}`,
  ])()
  return { kind, text: changed, signer: undefined }
}

function flipped(bytes: Buffer): Buffer {
  const at = chance.below(bytes.length)
  return Buffer.from(bytes.with(at, bytes[at]! ^ (1 << chance.below(8))))
}

/** Odd claims or an odd header under a good signature. */
function oddly(): Input {
  const { kind, signer, text } = chance.pick(byKind[chance.pick(KINDS)])
  const claims = JSON.parse(inside(text.split('.')[1]!).toString()) as Claims
  const payload = chance.pick([
    () => JSON.stringify(claims),
    () => jsonText(chance, claims),
    () => jsonText(chance, twisted(chance, claims)),
    () => jsonText(chance, twisted(chance, twisted(chance, claims))),
    () => JSON.stringify({ ...claims, [chance.pick(['exp', 'iat', 'nbf'])]: NOW + chance.below(400_000) - 100_000 }),
    () =>
      JSON.stringify({ ...claims, info: 1 }).replace('"info":1', () => `"info":${nested(chance.pick([100, 20_000]))}`),
    () => JSON.stringify({ ...claims, info: 'é'.repeat(chance.below(1024)) }),
    () => JSON.stringify(claims).replace('{', '{"sub":"1","iss":"rival","exp":1,"aud":"none",'),
    () => JSON.stringify({ ...claims, sub: chance.pick(['1', 'é', '7\0', -0, 2 ** 60, '\u0377']) }),
  ])()
  return { kind, text: signed(kind, signer, payload, chance.is(0.6) ? {} : chance.pick(HEADERS)), signer }
}
