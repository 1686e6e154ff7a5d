import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readInline } from './inline.ts'
import { readJson, readObject } from './shape.ts'
import { Wrong } from './wrong.ts'

/** Returns the key that the relay signs callbacks with, from a path or from the JWK itself. Throws a TrustConfigError. */
export async function readCallbackKey(given: string | undefined): Promise<KeyObject | undefined> {
  return given === undefined ? undefined : readInline('THROUGHLINE_CALLBACK_KEY', given, parseKey)
}

const EXPECTED = 'expected a private Ed25519 JWK, such as `throughline keys` makes'

function parseKey(bytes: Buffer): KeyObject {
  const { kty, crv, x, d } = readObject(readJson(bytes), '')
  if (kty !== 'OKP' || crv !== 'Ed25519') throw new Wrong('', `${EXPECTED}, found another kind`)
  if (d === undefined) throw new Wrong('', `${EXPECTED}, found a public one (it has no "d")`)
  try {
    return createPrivateKey({ key: { kty, crv, x, d } as JsonWebKey, format: 'jwk' })
  } catch {
    throw new Wrong('', `${EXPECTED}, found one whose bytes are none`)
  }
}
