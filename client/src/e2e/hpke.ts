/**
 * HPKE (RFC 9180) for one suite and one message: mode base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 * What is sealed is the encapsulated key (65 bytes) and the ciphertext behind it.
 */
import { type Bytes, concat, utf8 } from './bytes.ts'

export const P256 = { name: 'ECDH', namedCurve: 'P-256' } as const
export const POINT_BYTES = 65

const NONE = new Uint8Array()
const KEM = concat(utf8('KEM'), Uint8Array.of(0, 0x10))
const SUITE = concat(utf8('HPKE'), Uint8Array.of(0, 0x10, 0, 0x01, 0, 0x02))

/** A member's public key, as the curve's point and as its bytes. */
export interface Recipient {
  readonly key: CryptoKey
  readonly raw: Bytes
}

async function hmac(key: Bytes, data: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, data))
}

/** LabeledExtract (RFC 9180, section 4). */
function extract(suite: Bytes, salt: Bytes, label: string, ikm: Uint8Array): Promise<Bytes> {
  // HMAC fills a short key up with zeros, and Web Crypto takes no empty one.
  return hmac(salt.length === 0 ? new Uint8Array(32) : salt, concat(utf8('HPKE-v1'), suite, utf8(label), ikm))
}

/** LabeledExpand (RFC 9180, section 4), for at most the 32 bytes of one round. */
async function expand(suite: Bytes, prk: Bytes, label: string, info: Uint8Array, length: number): Promise<Bytes> {
  const labelled = concat(Uint8Array.of(0, length), utf8('HPKE-v1'), suite, utf8(label), info, Uint8Array.of(1))
  return (await hmac(prk, labelled)).slice(0, length)
}

/** ExtractAndExpand of the shared point (section 4.1), then the key schedule of mode base (section 5.1). */
async function schedule(own: CryptoKey, other: CryptoKey, enc: Bytes, raw: Bytes, info: Bytes) {
  const point = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: other }, own, 256))
  const shared = await expand(KEM, await extract(KEM, NONE, 'eae_prk', point), 'shared_secret', concat(enc, raw), 32)
  const pskId = await extract(SUITE, NONE, 'psk_id_hash', NONE)
  const context = concat(Uint8Array.of(0), pskId, await extract(SUITE, NONE, 'info_hash', info))
  const secret = await extract(SUITE, shared, 'secret', NONE)
  const bits = await expand(SUITE, secret, 'key', context, 32)
  return {
    key: await crypto.subtle.importKey('raw', bits, 'AES-GCM', false, ['encrypt', 'decrypt']),
    iv: await expand(SUITE, secret, 'base_nonce', context, 12),
  }
}

/** Seals for the holder of a private key; the key pair is for one use, and only test vectors bring their own. */
export async function hpkeSeal(
  { key, raw }: Recipient,
  info: Bytes,
  plain: Bytes,
  additionalData: Bytes = NONE,
  ephemeral?: CryptoKeyPair,
): Promise<Bytes> {
  const pair = ephemeral ?? (await crypto.subtle.generateKey(P256, false, ['deriveBits']))
  const enc = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  const { key: aead, iv } = await schedule(pair.privateKey, key, enc, raw, info)
  const cipher = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, aead, plain)
  return concat(enc, new Uint8Array(cipher))
}

/** Opens what was sealed for the key pair whose public half is `raw`; rejects when it was not. */
export async function hpkeOpen(
  privateKey: CryptoKey,
  raw: Bytes,
  info: Bytes,
  sealed: Bytes,
  additionalData: Bytes = NONE,
): Promise<Bytes> {
  const enc = sealed.slice(0, POINT_BYTES)
  const { key, iv } = await schedule(privateKey, await importPoint(enc, P256, []), enc, raw, info)
  const cipher = sealed.slice(POINT_BYTES)
  return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, key, cipher))
}

/** Imports an uncompressed point; rejects what is not on the curve. */
export async function importPoint(raw: Bytes, algorithm: EcKeyImportParams, usages: KeyUsage[]): Promise<CryptoKey> {
  // OpenSSL takes other forms of the same point too: a second way to write a key.
  if (raw.length !== POINT_BYTES || raw[0] !== 4) throw new TypeError('not an uncompressed point of P-256')
  return crypto.subtle.importKey('raw', raw, algorithm, true, usages)
}
