import { type Bytes, concat, fromBase64url, pack, random, toBase64url, utf8 } from './bytes.ts'
import type { Epoch } from './epoch.ts'
import { type Device, type Identity, SIGNATURE_BYTES, sign, verified } from './identity.ts'
import { E2eError } from './refusal.ts'

/** What an origin or a relay sees of an event's `data`. */
export interface Envelope {
  readonly v: 1
  readonly kid: string
  /** The id of the device that sealed it. */
  readonly from: string
  /** 24 random bytes: each envelope has a key of its own, derived from the epoch's and these. */
  readonly n: string
  /** Signature and value, encrypted; the signature is inside, so that it proves nothing to outsiders. */
  readonly c: string
}

/** What an envelope is bound to and does not say. */
export interface Bound {
  readonly thread: string
  readonly type: string
}

const LABEL = 'throughline e2e 1 envelope'
const NONCE_BYTES = 24

export async function sealEnvelope(
  { thread, type }: Bound,
  epoch: Epoch,
  identity: Identity,
  from: string,
  value: unknown,
  maxBytes: number,
): Promise<Envelope> {
  const nonce = random(NONCE_BYTES)
  const head = { v: 1, kid: epoch.kid, from, n: toBase64url(nonce) } as const
  const bound = pack(LABEL, thread, type, from, epoch.kid, nonce)
  const body = padded(utf8(JSON.stringify([Date.now(), value])))
  const size = JSON.stringify(head).length + 7 + Math.ceil(((SIGNATURE_BYTES + body.length + 16) * 4) / 3)
  if (size > maxBytes) {
    throw new E2eError('too_large', `Sealed it has ${size} bytes, and ${maxBytes} are allowed: seal less.`)
  }
  const plain = concat(await sign(identity, concat(bound, body)), body)
  const cipher = await crypto.subtle.encrypt(parameters(bound), await keyOf(epoch, nonce), plain)
  return { ...head, c: toBase64url(new Uint8Array(cipher)) }
}

/** Returns undefined for what is no envelope, or a larger one. */
export function readEnvelope(
  value: unknown,
  maxBytes: number,
): (Envelope & { nonce: Bytes; cipher: Bytes }) | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, kid, from, n, c } = value as Partial<Envelope>
  if (v !== 1 || typeof kid !== 'string' || typeof from !== 'string' || typeof c !== 'string') return undefined
  const nonce = fromBase64url(n, NONCE_BYTES)
  const cipher = c.length > maxBytes ? undefined : fromBase64url(c)
  return nonce && cipher && { v, kid, from, n: n!, c, nonce, cipher }
}

/** Decrypts an envelope and checks who signed it: returns time and value, or which of the two failed. */
export async function openEnvelope(
  { thread, type }: Bound,
  epoch: Epoch,
  device: Device,
  { nonce, cipher }: { readonly nonce: Bytes; readonly cipher: Bytes },
): Promise<readonly [at: number, value: unknown] | 'tampered' | 'bad_signature' | 'malformed'> {
  const bound = pack(LABEL, thread, type, device.id, epoch.kid, nonce)
  const key = await keyOf(epoch, nonce)
  const plain = await crypto.subtle.decrypt(parameters(bound), key, cipher).catch(() => undefined)
  if (plain === undefined) return 'tampered'
  const body = new Uint8Array(plain.slice(SIGNATURE_BYTES))
  const signature = new Uint8Array(plain.slice(0, SIGNATURE_BYTES))
  if (!(await verified(device, signature, concat(bound, body)))) return 'bad_signature'
  try {
    const pair: unknown = JSON.parse(new TextDecoder().decode(body))
    return Array.isArray(pair) && typeof pair[0] === 'number' ? [pair[0], pair[1]] : 'malformed'
  } catch {
    return 'malformed'
  }
}

/** The key is used once, so the nonce of AES-GCM may be zero, and there is no bound on the envelopes of an epoch. */
function parameters(additionalData: Bytes): AesGcmParams {
  return { name: 'AES-GCM', iv: new Uint8Array(12), additionalData }
}

function keyOf(epoch: Epoch, salt: Bytes): Promise<CryptoKey> {
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt, info: pack(LABEL) }
  return crypto.subtle.deriveKey(algorithm, epoch.key, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

/** Fills up with spaces, which JSON ignores, to a multiple of 256 bytes, or of an eighth of the size: so sizes tell less. */
function padded(json: Bytes): Bytes {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(json.length)) - 3))
  const bytes = new Uint8Array(Math.ceil(json.length / step) * step).fill(0x20)
  bytes.set(json)
  return bytes
}
