import { isUtf8 } from 'node:buffer'
import { Refusal } from './refusal.ts'

/**
 * A strict JSON reader (RFC 8259) that leaves `data` alone. JSON.parse cannot serve: it hides duplicate keys, gives
 * objects a prototype, changes integers beyond 2^53, and cannot tell where a member's bytes are, which the relay passes
 * on as they came (DESIGN §3).
 */
export type Json = null | boolean | number | string | RawJson | Json[] | JsonObject

/** Inherits nothing, so that no id can name something that was not sent. */
export interface JsonObject {
  [key: string]: Json | undefined
}

/** Where an opaque value stands in the bytes that were read: checked, but not looked into. */
export class RawJson {
  readonly start: number
  readonly end: number

  constructor(start: number, end: number) {
    this.start = start
    this.end = end
  }
}

/** Where `data` is opaque: in the root object (`frame`, `event`), or in each object of its array `events` (`batch`). */
export type Layout = 'frame' | 'event' | 'batch'

const MAX_DEPTH = 32
const MAX_DATA_DEPTH = 64

/**
 * Returns the root object of `bytes`. Numbers with a fraction or an exponent become NaN: nothing outside `data` has a
 * use for them, and so every integer check refuses them. Throws a Refusal: `bad_json`, `duplicate_key` or `too_deep`.
 */
export function parseJson(bytes: Buffer, layout: Layout): JsonObject {
  if (!isUtf8(bytes)) throw new Refusal('bad_json', 'not UTF-8')
  return new Reader(bytes).root(layout === 'batch' ? 'batch' : 'event')
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawJson)
}

// What a value is to its parent: only `batch` and `events` lead to further events, only `event` has an opaque member.
type Role = 'plain' | 'batch' | 'events' | 'event'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

// Inherits nothing either, but V8 gives it a shape, where it makes a hash table of what Object.create(null) returns.
function Bare() {}
Bare.prototype = Object.freeze(Object.create(null))

/** What a string may have without being looked at more closely. */
const PLAIN = /[\x20\x21\x23-\x5b\x5d-\x7f]*/y
/** Characters after which asking the expression above is faster than a loop. */
const SHORT = 24

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

class Reader {
  // One char per byte: indexes into the text are offsets into the bytes, and V8 reads it faster than a Buffer.
  readonly #text: string
  #at = 0

  constructor(bytes: Buffer) {
    this.#text = bytes.toString('latin1')
  }

  root(role: Role): JsonObject {
    if (this.#peek() !== OPEN_OBJECT) this.#fail('an object was expected')
    const object = this.#object(role, 1)
    this.#peek()
    if (this.#at < this.#text.length) this.#fail('something follows the object')
    return object
  }

  #value(role: Role, depth: number): Json {
    switch (this.#peek()) {
      case OPEN_OBJECT:
        return this.#object(role === 'event' ? 'event' : 'plain', depth)
      case OPEN_ARRAY:
        return this.#array(role === 'events' ? 'event' : 'plain', depth)
      case QUOTE:
        return this.#string()
      default:
        return this.#scalar()
    }
  }

  #object(role: Role, depth: number): JsonObject {
    if (depth > MAX_DEPTH) throw new Refusal('too_deep')
    const object = new (Bare as unknown as new () => JsonObject)()
    this.#at++
    if (this.#peek() === CLOSE_OBJECT) {
      this.#at++
      return object
    }
    do {
      if (this.#peek() !== QUOTE) this.#fail('a key was expected')
      const key = this.#string()
      // Not only for us: what passes here may be merged into plain objects by those who read it later.
      if (key === '__proto__') this.#fail('__proto__ is not allowed as a key')
      if (object[key] !== undefined) throw new Refusal('duplicate_key', `before byte ${this.#at}`)
      this.#expect(COLON)
      if (role === 'event' && key === 'data') object[key] = this.#opaque()
      else object[key] = this.#value(role === 'batch' && key === 'events' ? 'events' : 'plain', depth + 1)
    } while (this.#continues(CLOSE_OBJECT))
    return object
  }

  #array(role: Role, depth: number): Json[] {
    if (depth > MAX_DEPTH) throw new Refusal('too_deep')
    const array: Json[] = []
    this.#at++
    if (this.#peek() === CLOSE_ARRAY) {
      this.#at++
      return array
    }
    do array.push(this.#value(role, depth + 1))
    while (this.#continues(CLOSE_ARRAY))
    return array
  }

  #opaque(): RawJson {
    this.#peek()
    const start = this.#at
    this.#skip(1)
    return new RawJson(start, this.#at)
  }

  /** Checks a value and keeps nothing of it. */
  #skip(depth: number): void {
    const char = this.#peek()
    if (char === QUOTE) {
      this.#passString()
      return
    }
    if (char !== OPEN_OBJECT && char !== OPEN_ARRAY) {
      this.#scalar()
      return
    }
    if (depth > MAX_DATA_DEPTH) throw new Refusal('too_deep')
    const close = char === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
    this.#at++
    if (this.#peek() === close) {
      this.#at++
      return
    }
    do {
      if (char === OPEN_OBJECT) {
        if (this.#peek() !== QUOTE) this.#fail('a key was expected')
        this.#passString()
        this.#expect(COLON)
      }
      this.#skip(depth + 1)
    } while (this.#continues(close))
  }

  #string(): string {
    const start = this.#at
    if (this.#passString()) return this.#text.slice(start + 1, this.#at - 1)
    return JSON.parse(Buffer.from(this.#text.slice(start, this.#at), 'latin1').toString()) as string
  }

  /** Goes past a string and returns whether its text can be taken as it stands: no escapes, ASCII only. */
  #passString(): boolean {
    const text = this.#text
    let plain = true
    let at = this.#at + 1
    const far = at + SHORT
    for (;;) {
      if (at === far) {
        PLAIN.lastIndex = at
        PLAIN.test(text)
        at = PLAIN.lastIndex
      }
      const char = text.charCodeAt(at)
      if (char === QUOTE) break
      if (char === BACKSLASH) {
        ESCAPE.lastIndex = at
        if (!ESCAPE.test(text)) this.#fail('unknown escape', at)
        at = ESCAPE.lastIndex
        plain = false
      } else if (char >= 0x20) {
        if (char >= 0x80) plain = false
        at++
      } else this.#fail(at < text.length ? 'control character in a string' : 'a string does not end', at)
    }
    this.#at = at + 1
    return plain
  }

  #scalar(): number | boolean | null {
    const text = this.#text
    NUMBER.lastIndex = this.#at
    const number = NUMBER.exec(text)
    if (number !== null) {
      this.#at = NUMBER.lastIndex
      return number[1] === undefined && number[2] === undefined ? Number(number[0]) : Number.NaN
    }
    WORD.lastIndex = this.#at
    const word = WORD.exec(text)?.[0]
    if (word === undefined) return this.#fail('a value was expected')
    this.#at = WORD.lastIndex
    return word === 'null' ? null : word === 'true'
  }

  /** Goes past a comma and returns true, or past `close` and returns false. */
  #continues(close: number): boolean {
    const char = this.#peek()
    if (char !== COMMA && char !== close) this.#fail(`a comma or ${String.fromCharCode(close)} was expected`)
    this.#at++
    return char === COMMA
  }

  #expect(char: number): void {
    if (this.#peek() !== char) this.#fail(`${String.fromCharCode(char)} was expected`)
    this.#at++
  }

  /** Goes past white space and returns the next char code, NaN at the end. */
  #peek(): number {
    for (;;) {
      const char = this.#text.charCodeAt(this.#at)
      if (char !== 0x20 && char !== 0x0a && char !== 0x0d && char !== 0x09) return char
      this.#at++
    }
  }

  #fail(what: string, at = this.#at): never {
    throw new Refusal('bad_json', `${what} at byte ${at}`)
  }
}
