import { createSecretKey, type KeyObject, webcrypto } from 'node:crypto'
import { type Fields, found, readList, readObject } from './shape.ts'
import { Wrong } from './wrong.ts'

/** A key that verifies, and the algorithms that it verifies with: those names and no others, whatever a header says. */
export interface Key {
  readonly kid: string | undefined
  readonly algorithms: readonly string[]
  /** A secret is a KeyObject. */
  readonly key: webcrypto.CryptoKey | KeyObject
}

interface Kind {
  readonly kty: string
  readonly crv?: string
  readonly algorithms: readonly string[]
  /** How Web Crypto is told of it; a secret is used without. */
  readonly parameters?: webcrypto.EcKeyImportParams | webcrypto.Algorithm
  /** The members of the JWK that are the key itself. */
  readonly members: readonly string[]
}

const HS256: Kind = {
  kty: 'oct',
  algorithms: ['HS256'],
  members: ['k'],
}
// RFC 8037 calls it EdDSA, RFC 9864 Ed25519; libraries write either (CONTRACT 10).
const ED25519: Kind = {
  kty: 'OKP',
  crv: 'Ed25519',
  algorithms: ['EdDSA', 'Ed25519'],
  parameters: { name: 'Ed25519' },
  members: ['x'],
}
const ES256: Kind = {
  kty: 'EC',
  crv: 'P-256',
  algorithms: ['ES256'],
  parameters: { name: 'ECDSA', namedCurve: 'P-256' },
  members: ['x', 'y'],
}

/** Which kinds of key may stand where. A licence passes through browsers, so it holds no secret. */
export const KINDS = {
  siteFile: [HS256, ED25519, ES256],
  licence: [ED25519, ES256],
  operator: [ED25519],
} as const satisfies Record<string, readonly Kind[]>

/** RFC 7518 §3.2: a key as long as the hash at least. */
const MIN_SECRET_BYTES = 32
const LONGEST_KID = 256
const BASE64URL = /^[A-Za-z0-9_-]+$/

/** Returns the keys of a list of JWKs (RFC 7517). Throws Wrong, without a word of key material. */
export async function readKeys(value: unknown, where: string, kinds: readonly Kind[]): Promise<readonly Key[]> {
  const jwks = readList(value, where)
  if (jwks.length === 0) throw new Wrong(where, 'expected at least one key, found none')
  const kids = new Set<string>()
  const keys: Key[] = []
  for (const [index, jwk] of jwks.entries()) {
    const place = `${where}[${index}]`
    const key = await readKey(readObject(jwk, place), place, kinds)
    // Tokens must name one of several keys (CONTRACT 10), so one without a name could never be used.
    if (key.kid === undefined && jwks.length > 1) throw new Wrong(place, 'expected a kid, as there are several keys')
    if (key.kid !== undefined && kids.has(key.kid)) throw new Wrong(`${place}.kid`, 'stands in an earlier key too')
    if (key.kid !== undefined) kids.add(key.kid)
    keys.push(key)
  }
  return keys
}

/** Returns the key that a header's `kid` names; without one the only key. */
export function chooseKey(keys: readonly Key[], kid: unknown): Key | undefined {
  if (kid === undefined) return keys.length === 1 ? keys[0] : undefined
  return keys.find(key => key.kid === kid)
}

async function readKey(jwk: Fields, where: string, kinds: readonly Kind[]): Promise<Key> {
  // First of all: who put a private key here must hear of it, not of a smaller mistake beside it.
  if (Object.hasOwn(jwk, 'd')) {
    throw new Wrong(where, 'expected a public key, found a private one (it has "d"); write its public half here')
  }
  const kind = kinds.find(({ kty, crv }) => jwk['kty'] === kty && jwk['crv'] === crv)
  if (kind === undefined) throw new Wrong(where, `expected ${kinds.map(describe).join(' or ')}, found another kind`)
  const { alg, use, key_ops: uses, kid } = jwk
  if (alg !== undefined && !kind.algorithms.some(name => name === alg)) {
    throw new Wrong(`${where}.alg`, `expected ${kind.algorithms.join(' or ')} for this kind of key, found another`)
  }
  if (use !== undefined && use !== 'sig') throw new Wrong(`${where}.use`, 'expected "sig", found another use')
  if (uses !== undefined && !readList(uses, `${where}.key_ops`).includes('verify')) {
    throw new Wrong(`${where}.key_ops`, 'expected "verify" among them')
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > LONGEST_KID)) {
    throw new Wrong(`${where}.kid`, `expected 1 to ${LONGEST_KID} characters, found ${found(kid)}`)
  }
  return { kid, algorithms: kind.algorithms, key: await importKey(jwk, where, kind) }
}

async function importKey(jwk: Fields, where: string, kind: Kind): Promise<webcrypto.CryptoKey | KeyObject> {
  // Only what the kind needs: other members of a JWK are not ours to judge (RFC 7517 §4).
  const bare: Record<string, string> = { kty: kind.kty, ...(kind.crv === undefined ? {} : { crv: kind.crv }) }
  for (const name of kind.members) {
    const member = jwk[name]
    if (typeof member !== 'string' || !BASE64URL.test(member)) {
      throw new Wrong(`${where}.${name}`, 'expected base64url without padding (RFC 7515), found something else')
    }
    bare[name] = member
  }
  if (kind.parameters === undefined) {
    const secret = Buffer.from(bare['k'] ?? '', 'base64url')
    if (secret.length < MIN_SECRET_BYTES) {
      throw new Wrong(`${where}.k`, `expected at least ${MIN_SECRET_BYTES} bytes, found ${secret.length}`)
    }
    return createSecretKey(secret)
  }
  try {
    return await webcrypto.subtle.importKey('jwk', bare, kind.parameters, false, ['verify'])
  } catch {
    throw new Wrong(where, `expected a ${describe(kind)} key, found one whose bytes are none`)
  }
}

function describe({ kty, crv }: Kind): string {
  return crv === undefined ? `kty ${kty}` : `kty ${kty} with crv ${crv}`
}
