import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import type { Chance } from './random.ts'

/** Bytes that mean something to what reads JSON, UTF-8 or HTTP. */
const BYTES = [
  ...Buffer.from('"\\{}[],:0123456789.eE+-tfnu \t\r\n\0\x1f\x7f\x80\xbf\xc2\xc3\xe2\xed\xf0\xff', 'latin1'),
]

/** Values that stand where others are expected. */
const ODD: readonly unknown[] = [
  [null, true, false, 0, -1, 1.5, 1e308, 2 ** 53, -(2 ** 53), 1_800_000_000],
  ['', '.', '..', '0', 'é', '\0', '\ud800', '\udc00x', '🚀', '__proto__', 'constructor', 'toString', 'a b', '*'],
  ['x'.repeat(128), 'x'.repeat(129), 'é'.repeat(20_000), '<abyss>'],
  [[], {}, [[]], [null], [1, 'a', {}], { constructor: 1 }, { a: { b: [] } }, JSON.parse('{"__proto__":{"a":1}}')],
  [
    Array.from({ length: 1001 }, (_, i) => i),
    Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [i, ['read']])),
  ],
  [JSON.parse(nested(33)), JSON.parse(nested(65))],
].flat()

const NAMES = ['a', '', 'é', '\ud800', '__proto__', 'constructor', 'toString', 'data', 'id', 'op', 'x'.repeat(300)]

/** What JSON.stringify would not write, in place of a number. */
const NUMBERS = [
  '-0',
  '1e999',
  '-1e999',
  '1E400',
  '0.1',
  '1.0',
  '01',
  '+1',
  '1e',
  'NaN',
  '9007199254740993',
  '9'.repeat(400),
]
const TEXTS = ['\\ud800', '\\udc00\\ud800', '\\u0000', '\\x', '\\u12', '\t', '"', '\\', '\u2028', '\\u005f_proto__']

export function nested(depth: number): string {
  return `${'['.repeat(depth)}${']'.repeat(depth)}`
}

/** Returns a few bytes more, less or other than given. */
export function damaged(chance: Chance, bytes: Buffer): Buffer {
  let result = bytes
  for (let times = 1 + chance.below(3); times > 0; times--) {
    const at = chance.below(result.length + 1)
    const [before, after] = [result.subarray(0, at), result.subarray(at)]
    const piece = result.subarray(chance.below(result.length + 1)).subarray(0, chance.below(12))
    result = chance.pick([
      () => Buffer.concat([before, after.subarray(1)]),
      () => Buffer.concat([before, after.subarray(1 + chance.below(6))]),
      () => Buffer.concat([before, Buffer.from([chance.pick(BYTES)]), after]),
      () => Buffer.concat([before, Buffer.from([chance.pick(BYTES)]), after.subarray(1)]),
      () => Buffer.concat([before, Buffer.from([chance.below(256)]), after.subarray(1)]),
      () => Buffer.concat([before, piece, after]),
      () => before,
    ])()
  }
  return result
}

export function noise(chance: Chance, most: number): Buffer {
  return Buffer.from(Array.from({ length: chance.below(most + 1) }, () => chance.below(256)))
}

/** Returns a copy of JSON in which one place has something odd, or is missing, or is new. */
export function twisted(chance: Chance, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || chance.is(0.1)) return chance.pick(ODD)
  if (Array.isArray(value)) {
    const at = chance.below(value.length + 1)
    return at === value.length
      ? [...(value as unknown[]), chance.pick(ODD)]
      : value.map((each: unknown, i) => (i === at ? twisted(chance, each) : each))
  }
  const entries = Object.entries(value)
  const at = chance.below(entries.length + 1)
  const [name, old] = entries[at] ?? [chance.pick(NAMES), undefined]
  const [before, after] = [entries.slice(0, at), entries.slice(at + 1)]
  if (old !== undefined && chance.is(0.1)) return Object.fromEntries([...before, ...after])
  return Object.fromEntries([...before, [name, old === undefined ? chance.pick(ODD) : twisted(chance, old)], ...after])
}

/** Returns JSON text of a value with, at times, what only text can have: a key twice, numbers beyond all, odd escapes. */
export function jsonText(chance: Chance, value: unknown): string {
  // JSON.stringify overflows the stack of its own depth.
  const text = (JSON.stringify(value) ?? 'null').replace('"<abyss>"', () => nested(5000))
  if (chance.is(0.7)) return text
  const after = (mark: string, piece: string): string => text.replace(mark, () => mark + piece)
  return chance.pick([
    () => text.replace(/("[a-z_]+":)([^,{}[\]]+)/, (all: string) => `${all},${all}`),
    () =>
      after('{', `"${chance.pick(['__proto__', 'a', 'd\\u0061ta', 'data'])}":${chance.pick(['1', '{}', nested(70)])},`),
    () => text.replace(/(?<=[:,[])\d+/, () => chance.pick(NUMBERS)),
    () => after(':"', chance.pick(TEXTS)),
    () => after(',', ' \t\r\n'.repeat(chance.below(20))),
  ])()
}

/** The frames that docs/protocol.md shows under a heading. */
export function exampleFrames(heading: 'Client to relay' | 'Relay to client'): Record<string, unknown>[] {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/protocol.md', import.meta.url)), 'utf8')
  const section = page.split('\n## ').find(part => part.startsWith(`${heading}\n`))!
  return [...section.matchAll(/^```json\n([^]*?)^```/gm)].map(
    ([, text]) => JSON.parse(text!) as Record<string, unknown>,
  )
}

/** Returns the bytes of heap that are left after a garbage collection. */
export function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}
