import { readInline } from './inline.ts'
import { type Key, KINDS, readKeys } from './keys.ts'
import { readJson, readObject } from './shape.ts'

/**
 * Returns the operator's public keys, from a path or from the JSON itself: one JWK, or a set `{"keys":[…]}`. Throws a
 * TrustConfigError.
 */
export function readOperatorKeys(given: string): Promise<readonly Key[]> {
  return readInline('THROUGHLINE_OPERATOR_JWKS', given, parseKeys)
}

function parseKeys(bytes: Buffer): Promise<readonly Key[]> {
  const set = readObject(readJson(bytes), '')
  return readKeys(Object.hasOwn(set, 'keys') ? set['keys'] : [set], 'keys', KINDS.operator)
}
