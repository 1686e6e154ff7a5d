import { parseJson } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { Wrong } from './wrong.ts'

export type Fields = Readonly<Record<string, unknown>>

const LONGEST_NAME = 40

/**
 * Returns the object in `bytes`, without prototypes and with duplicate keys refused: a second "acme" in a site file
 * would otherwise replace the first unseen. The words of JSON.parse are not used, since they quote the text, which
 * holds secrets.
 */
export function readJson(bytes: Buffer): unknown {
  try {
    // 'batch' is the layout in which no member of an object is opaque, so a site may be called "data".
    return parseJson(bytes, 'batch')
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Wrong(
      '',
      error.message.replace(/byte (\d+)/, (_, at: string) => `line ${lineOf(bytes, Number(at))}`),
    )
  }
}

function lineOf(bytes: Buffer, at: number): number {
  let line = 1
  for (let end = bytes.indexOf('\n'); end !== -1 && end < at; end = bytes.indexOf('\n', end + 1)) line++
  return line
}

export function readObject(value: unknown, where: string): Fields {
  if (!isFields(value)) throw new Wrong(where, `expected an object, found ${found(value)}`)
  return value
}

/** Returns an object that has no fields but the known ones: a mistyped name must not look like one left out. */
export function readFields(value: unknown, where: string, known: readonly string[]): Fields {
  const fields = readObject(value, where)
  for (const name of Object.keys(fields)) {
    if (!known.includes(name)) {
      throw new Wrong(where, `expected only ${known.join(', ')}, found ${JSON.stringify(name.slice(0, LONGEST_NAME))}`)
    }
  }
  return fields
}

export function readList(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Wrong(where, `expected a list, found ${found(value)}`)
  return value
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns the kind of a value for a message; of the value itself no more than a number. */
export function found(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return Number.isNaN(value) ? 'a number that is not whole' : String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
