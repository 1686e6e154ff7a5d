import { isUtf8 } from 'node:buffer'
import { compactVerify, errors } from 'jose'
import type { Key } from './keys.ts'
import { type Fields, isFields } from './shape.ts'

/** What a compact JWS (RFC 7515 §7.1) says of itself. Nothing of it is verified: good for choosing a key only. */
export interface Unverified {
  readonly header: Fields
  readonly payload: Fields
}

export type Outcome = { readonly payload: Fields } | { readonly fault: 'malformed' | 'algorithm' | 'signature' }

const MAX_LENGTH = 64 * 1024
// The last part may be empty, so that `alg: none` is told for what it is.
const SHAPE = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

/** Returns the parts of a compact JWS whose header and payload are JSON objects, or undefined when it is none. */
export function decodeJws(text: string): Unverified | undefined {
  if (text.length > MAX_LENGTH || !SHAPE.test(text)) return undefined
  const [head, body] = text.split('.')
  const header = parsePart(Buffer.from(head ?? '', 'base64url'))
  const payload = parsePart(Buffer.from(body ?? '', 'base64url'))
  return header === undefined || payload === undefined ? undefined : { header, payload }
}

/** Verifies a JWS that could be decoded. The payload that it returns is read again, from the bytes that were verified. */
export async function verifyJws(text: string, { algorithms, key }: Key): Promise<Outcome> {
  try {
    // jose refuses all critical extensions (RFC 7515 §4.1.11) but b64, and a payload that is not encoded had no SHAPE.
    const { payload } = await compactVerify(text, key, { algorithms: [...algorithms] })
    const fields = parsePart(Buffer.from(payload))
    return fields === undefined ? { fault: 'malformed' } : { payload: fields }
  } catch (error) {
    if (error instanceof errors.JOSEAlgNotAllowed) return { fault: 'algorithm' }
    if (error instanceof errors.JWSSignatureVerificationFailed) return { fault: 'signature' }
    if (error instanceof errors.JOSEError) return { fault: 'malformed' }
    throw error
  }
}

function parsePart(bytes: Buffer): Fields | undefined {
  // RFC 7519 §7.2: the octets must be UTF-8. Otherwise two different texts could be read as one user id.
  if (!isUtf8(bytes)) return undefined
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}
