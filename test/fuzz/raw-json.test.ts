/**
 * 20,000 documents, generated and then damaged, with JSON.parse as the judge of what is JSON and what it says. Where
 * the reader differs on purpose, `rules` below decides, on tokens of text that JSON.parse has accepted.
 * SEED repeats a run: it stands in every failure.
 */
import { isUtf8 } from 'node:buffer'
import { t } from 'tap'
import { type Json, type Layout, parseJson, RawJson } from '../../src/protocol/raw-json.ts'
import { Refusal } from '../../src/protocol/refusal.ts'
import { inherits } from '../support/inherits.ts'
import { damaged } from '../support/damage.ts'
import { Chance, SEED } from '../support/random.ts'

const INPUTS = 20_000

// What documents are made of.
const KEYS = ['op', 'id', 'to', 'threads', 'events', 'é', '', 'constructor', 'a', 'b', 'c', 'd']
const BITS = String.raw`a B 7 é 世 🚀 { } [ ] , : \" \\ \/ \n \u0041 \ud83d\ude80 \ud800 \u0000`
  .split(' ')
  .concat(' ', '\u2028')

const random = new Chance(SEED)
const below = (n: number): number => random.below(n)
const chance = (p: number): boolean => random.is(p)
const pick = <T>(from: readonly T[]): T => random.pick(from)

await t.test(`parseJson agrees with JSON.parse on ${INPUTS} documents (SEED=${SEED})`, async t => {
  const seen: Record<string, number> = {}
  for (let i = 0; i < INPUTS; i++) {
    const layout = pick<Layout>(['frame', 'event', 'batch'])
    const whole = Buffer.from(document(layout))
    const bytes = chance(0.5) ? whole : damaged(random, whole)
    const fault = compare(bytes, layout, seen)
    if (fault === undefined) continue
    t.fail(
      `${fault}: input ${i} of SEED=${SEED}, ${layout}, ${bytes.length} bytes in base64: ${bytes.toString('base64')}`,
    )
    return
  }
  t.comment(JSON.stringify(seen))
  // Else the fuzzer has gone blind.
  for (const what of ['accepted', 'opaque', 'bad_json', 'duplicate_key', 'too_deep', 'not JSON']) {
    t.ok((seen[what] ?? 0) > INPUTS / 200, `${what}: ${seen[what]} times`)
  }
})

/** Returns what is wrong, if anything. */
function compare(bytes: Buffer, layout: Layout, seen: Record<string, number>): string | undefined {
  const count = (what: string): void => void (seen[what] = (seen[what] ?? 0) + 1)
  const text = bytes.toString()
  const judged = judge(bytes, text)
  let read: Json
  try {
    read = parseJson(bytes, layout)
  } catch (error) {
    if (!(error instanceof Refusal)) return `threw ${String(error)}`
    // A fault that stands earlier in the text may be named first.
    if (judged === undefined) count('not JSON')
    if (judged === undefined) return undefined
    const { code } = rules(text, layout)
    count(error.code)
    return error.code === code ? undefined : `refused with ${error.code} instead of ${code ?? 'accepting it'}`
  }
  if (judged === undefined) return 'accepted what is not JSON'
  const { code, fractions } = rules(text, layout)
  if (code !== undefined) return `accepted instead of ${code}`
  count('accepted')
  const found = { nans: 0, opaque: 0 }
  if (!same(read, judged.value, bytes, found)) return 'another value'
  if (found.opaque > 0) count('opaque')
  return found.nans === fractions ? undefined : `${found.nans} numbers are NaN instead of ${fractions}`
}

function judge(bytes: Buffer, text: string): { value: unknown } | undefined {
  try {
    return isUtf8(bytes) ? { value: parse(text) } : undefined
  } catch {
    return undefined
  }
}

/**
 * JSON.parse, kept from a fault of V8 in Node 24: where it expects a key that ends in a backslash, as after a like object,
 * it takes an escape there for it. So the value is read with a dot at the end of each string.
 */
function parse(text: string): unknown {
  JSON.parse(text)
  return undotted(JSON.parse(text.replace(/"((?:[^"\\]|\\.)*)"/g, '"$1."')))
}

function undotted(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, -1)
  if (Array.isArray(value)) return value.map(undotted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key.slice(0, -1), undotted(each)]))
}

/** Tells whether what was read is what JSON.parse says, with opaque values read now. */
function same(read: Json | undefined, value: unknown, bytes: Buffer, found: { nans: number; opaque: number }): boolean {
  if (read instanceof RawJson) {
    found.opaque++
    const text = bytes.subarray(read.start, read.end).toString()
    return text === text.trim() && JSON.stringify(parse(text)) === JSON.stringify(value)
  }
  if (Number.isNaN(read)) {
    found.nans++
    return typeof value === 'number'
  }
  if (typeof read !== 'object' || read === null || typeof value !== 'object' || value === null) {
    return Object.is(read, value)
  }
  if (Array.isArray(read) !== Array.isArray(value)) return false
  if (!Array.isArray(read) && inherits(read)) return false
  const [ours, theirs] = [Object.entries(read), Object.entries(value)]
  return (
    ours.length === theirs.length &&
    ours.every(([key, each], i) => key === theirs[i]?.[0] && same(each, theirs[i]?.[1], bytes, found))
  )
}

interface Ruling {
  /** The first rule that the text breaks, if any. */
  code?: string
  /** How many numbers outside data have a fraction or an exponent. */
  fractions: number
}

type Place = 'plain' | 'batch' | 'events' | 'event' | 'data'

/** Applies the rules that JSON.parse does not know to text that it has accepted. */
function rules(text: string, layout: Layout): Ruling {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gu) ?? []
  const ruling: Ruling = { fractions: 0 }
  let at = 0
  const value = (place: Place, depth: number): void => {
    if (ruling.code !== undefined) return
    const token = tokens[at++] ?? ''
    if (token === '{' || token === '[') {
      if (depth > (place === 'data' ? 64 : 32)) ruling.code = 'too_deep'
      else if (token === '{') object(place, depth)
      else array(place, depth)
    } else if (place !== 'data' && /^-?\d+[.eE]/.test(token)) ruling.fractions++
  }
  const array = (place: Place, depth: number): void => {
    const inner = place === 'events' ? 'event' : place === 'data' ? 'data' : 'plain'
    while (ruling.code === undefined && tokens[at] !== ']') {
      value(inner, depth + 1)
      if (tokens[at] === ',') at++
    }
    at++
  }
  const object = (place: Place, depth: number): void => {
    const keys = new Set<string>()
    while (ruling.code === undefined && tokens[at] !== '}') {
      const key = JSON.parse(tokens[at] ?? '') as string
      if (place !== 'data' && key === '__proto__') ruling.code = 'bad_json'
      else if (place !== 'data' && keys.has(key)) ruling.code = 'duplicate_key'
      keys.add(key)
      at += 2
      if (place === 'event' && key === 'data') value('data', 1)
      else value(place === 'data' ? 'data' : place === 'batch' && key === 'events' ? 'events' : 'plain', depth + 1)
      if (tokens[at] === ',') at++
    }
    at++
  }
  if (tokens[0] !== '{') ruling.code = 'bad_json'
  // An array in an event's place is no event, an object in the place of the list has no events.
  else value(layout === 'batch' ? 'batch' : 'event', 1)
  return ruling
}

function document(layout: Layout): string {
  if (chance(0.03)) return json(2)
  if (layout === 'batch' && chance(0.8)) {
    return `{${space()}"events":[${many(4, () => (chance(0.9) ? object(3) : json(2)))}]${chance(0.3) ? `,${member(2)}` : ''}}`
  }
  return object(4)
}

function json(depth: number): string {
  if (chance(0.03)) return tower()
  if (depth > 0 && chance(0.3)) return object(depth)
  if (depth > 0 && chance(0.3)) return `[${space()}${many(4, () => json(depth - 1))}]`
  return `${space()}${chance(0.5) ? number() : chance(0.6) ? string() : pick(['true', 'false', 'null'])}${space()}`
}

function object(depth: number): string {
  return `{${many(5, () => member(depth))}}${space()}`
}

function member(depth: number): string {
  const key = chance(0.25)
    ? pick(['"data"', '"data"', String.raw`"d\u0061ta"`])
    : chance(0.02)
      ? pick(['"__proto__"', String.raw`"__prot\u006f__"`])
      : chance(0.3)
        ? string()
        : JSON.stringify(pick(KEYS))
  return `${space()}${key}${space()}:${json(depth - 1)}`
}

/** Nested to somewhere near one of the limits. */
function tower(): string {
  const depth = pick([20, 28, 29, 30, 31, 32, 33, 60, 63, 64, 65, 66, 200])
  const floors = Array.from({ length: depth }, () => chance(0.5))
  const up = floors.map(list => (list ? '[' : `{"${pick(KEYS)}":`)).join('')
  return `${up}${chance(0.5) ? '1' : '[]'}${floors
    .toReversed()
    .map(list => (list ? ']' : '}'))
    .join('')}`
}

function number(): string {
  return pick([
    String(below(100)),
    String(-below(2 ** 31)),
    `${below(10)}.${below(1000)}`,
    `${below(100)}${pick(['e', 'E', 'e+', 'e-'])}${below(400)}`,
    `${below(2 ** 31)}${below(2 ** 31)}${below(2 ** 31)}`,
    '0',
    '-0',
    '0.0',
    '9007199254740993',
  ])
}

function string(): string {
  return `"${Array.from({ length: below(6) }, () => pick(BITS)).join('')}"`
}

function space(): string {
  return chance(0.8) ? '' : pick([' ', '\n', '\t', '\r\n', '  '])
}

function many(most: number, make: () => string): string {
  return Array.from({ length: below(most + 1) }, make).join(',')
}
