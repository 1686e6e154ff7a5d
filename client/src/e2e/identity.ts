import { type Bytes, fromBase64url, pack, sha256, toBase64url } from './bytes.ts'
import { importPoint, P256, POINT_BYTES, type Recipient } from './hpke.ts'
import { E2eError } from './refusal.ts'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
export const SIGNATURE_BYTES = 64
const USER_BYTES = 128

/** What others must know of one device of a user; the application's directory gives it out. */
export interface PublicIdentity {
  readonly v: 1
  readonly user: string
  /** The key that others seal for, and the one that proves its signatures: points of P-256, base64url. */
  readonly enc: string
  readonly sig: string
}

/** One device of a user. Its private keys cannot be read; IndexedDB stores the object as it is. */
export interface Identity {
  readonly public: PublicIdentity
  readonly decrypt: CryptoKey
  readonly sign: CryptoKey
}

/** A public identity whose keys were checked. */
export interface Device extends Recipient {
  /** The hash of the identity: what envelopes and handovers call it. */
  readonly id: string
  readonly public: PublicIdentity
  readonly verify: CryptoKey
}

/** Makes the identity of this device of a user. Throws `insecure_context` where there is no Web Crypto. */
export async function createIdentity(user: string): Promise<Identity> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new E2eError(
      'insecure_context',
      'Web Crypto is for secure contexts only: serve the page by https, or on localhost.',
    )
  }
  const [enc, sig] = await Promise.all([
    crypto.subtle.generateKey(P256, false, ['deriveBits']),
    crypto.subtle.generateKey(ECDSA, false, ['sign', 'verify']),
  ])
  const identity: PublicIdentity = { v: 1, user, enc: await pointOf(enc), sig: await pointOf(sig) }
  await importDevice(identity)
  return { public: identity, decrypt: enc.privateKey, sign: sig.privateKey }
}

async function pointOf({ publicKey }: CryptoKeyPair): Promise<string> {
  return toBase64url(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)))
}

/** Checks a public identity. Throws `bad_identity`. */
export async function importDevice(identity: PublicIdentity): Promise<Device> {
  const { v, user, enc, sig } = identity
  const raw = fromBase64url(enc, POINT_BYTES)
  const verify = fromBase64url(sig, POINT_BYTES)
  if (v !== 1 || typeof user !== 'string' || user === '' || user.length > USER_BYTES || !raw || !verify) {
    throw new E2eError('bad_identity', 'A public identity is {v: 1, user, enc, sig}, as createIdentity() makes it.')
  }
  try {
    return {
      id: toBase64url(await sha256(bytesOf(identity))),
      public: { v, user, enc, sig },
      raw,
      key: await importPoint(raw, P256, []),
      verify: await importPoint(verify, ECDSA, ['verify']),
    }
  } catch {
    throw new E2eError('bad_identity', `The keys of user ${user}'s public identity are no points of P-256.`)
  }
}

/** Returns twelve groups of five digits (199 bits), for two people to compare on another way than through the origin. */
export async function fingerprint(identity: PublicIdentity): Promise<string> {
  const hash = new DataView(await crypto.subtle.digest('SHA-512', bytesOf(identity)))
  const groups = Array.from(
    { length: 12 },
    (_, i) => (hash.getUint8(i * 5) * 2 ** 32 + hash.getUint32(i * 5 + 1)) % 1e5,
  )
  return groups.map(group => String(group).padStart(5, '0')).join(' ')
}

function bytesOf({ user, enc, sig }: PublicIdentity): Bytes {
  return pack('throughline e2e 1 identity', user, enc, sig)
}

/** Signs with ECDSA on P-256. */
export async function sign(identity: Identity, bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(ECDSA, identity.sign, bytes))
}

export function verified(device: Device, signature: Bytes, bytes: Bytes): Promise<boolean> {
  return crypto.subtle.verify(ECDSA, device.verify, signature, bytes)
}
