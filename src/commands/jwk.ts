import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { importJWK, type JWTPayload, SignJWT } from 'jose'
import { Failure } from './command.ts'

/** A key as files hold it (RFC 7517). */
export interface Jwk extends JsonWebKey {
  readonly kid?: string
  readonly alg?: string
}

export type Algorithm = 'EdDSA' | 'ES256' | 'HS256'

/** Returns the JWK of a file, and makes sure that it is a key of one of the three algorithms. */
export function readJwk(file: string): Jwk {
  const jwk = asJwk(parseObject(readFileSync(file, 'utf8')))
  if (jwk === undefined) {
    throw new Failure(`${file} is not a JWK for EdDSA, ES256 or HS256, such as \`throughline keys\` makes`)
  }
  return jwk
}

/** Returns the JWK of a file that others may read. A private or shared key is refused: it was picked by mistake. */
export function readPublicJwk(file: string): Jwk {
  const jwk = readJwk(file)
  if (jwk.kty === 'oct') throw new Failure(`${file} holds a shared secret; only a public key can stand here`)
  if (jwk.d !== undefined)
    throw new Failure(`${file} holds a private key; give the public one, which \`throughline keys\` prints`)
  return jwk
}

/** Returns a compact JWS of the claims (RFC 7515), signed with a private or shared key. */
export async function sign(jwk: Jwk, claims: JWTPayload, typ?: string): Promise<string> {
  const alg = algorithm(jwk)
  if (alg === undefined || (alg !== 'HS256' && jwk.d === undefined)) {
    throw new Failure('a public key cannot sign; give the private one')
  }
  const header = { alg, ...(jwk.kid !== undefined && { kid: jwk.kid }), ...(typ !== undefined && { typ }) }
  return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk, alg))
}

/** Returns the algorithm that a key decides for its signatures (CONTRACT 10). */
export function algorithm({ kty, crv }: Jwk): Algorithm | undefined {
  if (kty === 'oct') return 'HS256'
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA'
  return kty === 'EC' && crv === 'P-256' ? 'ES256' : undefined
}

/** Returns the object that `text` is in JSON, or undefined. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Returns `value` if it is a key of one of the three algorithms. */
export function asJwk(value: unknown): Jwk | undefined {
  return isObject(value) && isKey(value) ? value : undefined
}

function isKey(jwk: Jwk): boolean {
  if (algorithm(jwk) === undefined) return false
  // RFC 7518 §3.2: a key for HS256 has at least the 256 bits of the hash.
  if (jwk.kty === 'oct') return typeof jwk.k === 'string' && Buffer.from(jwk.k, 'base64url').length >= 32
  try {
    if (jwk.d === undefined) createPublicKey({ key: jwk, format: 'jwk' })
    else createPrivateKey({ key: jwk, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
