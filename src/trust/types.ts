import { type EventType, parseEventType } from '../protocol/ids.ts'
import { readList } from './shape.ts'
import { Wrong } from './wrong.ts'

/** Event types, where `call.*` stands for all that begin with `call.`. */
export class TypeList {
  readonly #exact: ReadonlySet<string>
  readonly #starts: readonly string[]

  constructor(types: readonly string[]) {
    this.#exact = new Set(types.filter(type => !type.endsWith('.*')))
    this.#starts = types.filter(type => type.endsWith('.*')).map(type => type.slice(0, -1))
  }

  /** What JSON.stringify takes. */
  toJSON(): readonly string[] {
    return [...this.#exact, ...this.#starts]
  }

  allow(type: EventType): boolean {
    return this.#exact.has(type) || this.#starts.some(start => type.length > start.length && type.startsWith(start))
  }
}

/** Reads a list of event types. Throws Wrong. */
export function readTypes(value: unknown, where: string): TypeList {
  const types = readList(value, where).map((type, index) => {
    const stem = typeof type === 'string' && type.endsWith('.*') ? type.slice(0, -2) : type
    if (parseEventType(stem) === undefined) {
      throw new Wrong(`${where}[${index}]`, 'expected an event type such as typing or call.*, found something else')
    }
    return type as string
  })
  return new TypeList(types)
}
