import type { JsonObject } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'

/** Returns the object if it has no fields but the known ones: a misspelt one would change what a call does. Throws a Refusal. */
export function readOnly(object: JsonObject, known: readonly string[], at = ''): JsonObject {
  for (const name of Object.keys(object)) {
    if (!known.includes(name)) {
      throw new Refusal('bad_field', `unknown field; known are ${known.join(', ')}`, {
        pointer: `${at}/${pointerToken(name)}`,
      })
    }
  }
  return object
}

/** Escapes a name that came from outside (RFC 6901 §3), and cuts it where nobody would read on. */
export function pointerToken(name: string): string {
  return name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')
}
