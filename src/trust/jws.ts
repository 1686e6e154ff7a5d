import { isUtf8 } from 'node:buffer'
import { createHmac, KeyObject, timingSafeEqual } from 'node:crypto'
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
  const header = decodeHeader(text)
  const payload = parsePart(Buffer.from(text.slice(text.indexOf('.') + 1, text.lastIndexOf('.')), 'base64url'))
  return header === undefined || payload === undefined ? undefined : { header, payload }
}

/** Verifies a JWS that was decoded: at once with a secret. The payload that it returns is what was verified. */
export function verifyJws(text: string, jws: Unverified, { algorithms, key }: Key): Outcome | Promise<Outcome> {
  return key instanceof KeyObject ? verifyHmac(text, jws, key) : verifySignature(text, key, algorithms)
}

/** What the last token began with: a crowd that comes at once is one site's, and its tokens' headers are the same. */
let last: { readonly start: string; readonly header: Fields | undefined } = { start: '.', header: undefined }

function decodeHeader(text: string): Fields | undefined {
  const end = text.indexOf('.') + 1
  if (end !== last.start.length || !text.startsWith(last.start)) {
    // Copied, since a slice would keep the whole token.
    const start = Buffer.from(text.slice(0, end)).toString()
    last = { start, header: parsePart(Buffer.from(start.slice(0, -1), 'base64url')) }
  }
  return last.header
}

async function verifySignature(
  text: string,
  key: Exclude<Key['key'], KeyObject>,
  algorithms: readonly string[],
): Promise<Outcome> {
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

/**
 * HS256 (RFC 7518 §3.2), here and now: it takes a few microseconds, and handing it to another thread, as Web Crypto does,
 * takes several times that. Refuses what jose refuses, in the same order.
 */
function verifyHmac(text: string, { header, payload }: Unverified, secret: KeyObject): Outcome {
  const { alg, crit } = header
  if (crit !== undefined || typeof alg !== 'string' || alg === '') return { fault: 'malformed' }
  if (alg !== 'HS256') return { fault: 'algorithm' }
  const end = text.lastIndexOf('.')
  const expected = createHmac('sha256', secret).update(text.slice(0, end)).digest()
  const given = Buffer.from(text.slice(end + 1), 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected) ? { payload } : { fault: 'signature' }
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
