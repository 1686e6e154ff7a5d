import { readFile } from 'node:fs/promises'
import { type Key, KINDS, readKeys } from './keys.ts'
import { readJson, readObject } from './shape.ts'
import { TrustConfigError, Wrong } from './wrong.ts'

const VARIABLE = 'THROUGHLINE_OPERATOR_JWKS'

/**
 * Returns the operator's public keys, from a path or from the JSON itself: one JWK, or a set `{"keys":[…]}`. Throws a
 * TrustConfigError.
 */
export async function readOperatorKeys(given: string): Promise<readonly Key[]> {
  const inline = given.trimStart().startsWith('{')
  try {
    return await parseKeys(inline ? Buffer.from(given) : await readOrFail(given))
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    throw new TrustConfigError(VARIABLE, inline ? error.message : `${given}: ${error.message}`)
  }
}

async function readOrFail(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new Wrong(
      '',
      `expected a readable file or inline JSON, found neither (${(error as NodeJS.ErrnoException).code})`,
    )
  }
}

function parseKeys(bytes: Buffer): Promise<readonly Key[]> {
  const set = readObject(readJson(bytes), '')
  return readKeys(Object.hasOwn(set, 'keys') ? set['keys'] : [set], 'keys', KINDS.operator)
}
