import { t } from 'tap'
import { type Json, type JsonObject, type Layout, parseJson, RawJson } from '../../src/protocol/raw-json.ts'
import type { Refusal } from '../../src/protocol/refusal.ts'
import { inherits } from '../support/inherits.ts'

const LAYOUTS: Layout[] = ['frame', 'event', 'batch']

function parse(text: string, layout: Layout = 'event'): JsonObject {
  return parseJson(Buffer.from(text), layout)
}

/** Returns the text that an opaque value stands for. */
function cut(text: string, value: Json | undefined): string {
  if (!(value instanceof RawJson)) return `not opaque: ${JSON.stringify(value)}`
  return Buffer.from(text).subarray(value.start, value.end).toString()
}

function refusal(bytes: Buffer, layout: Layout): string {
  try {
    parseJson(bytes, layout)
  } catch (error) {
    return (error as Refusal).code
  }
  return 'accepted'
}

function nested(depth: number, open = '[', close = ']'): string {
  return `${open.repeat(depth)}${close.repeat(depth)}`
}

await t.test('what is not data is read', async t => {
  const object = parse('{"op":"connect", "id":7,"yes":true,"no":false,"none":null,"list":[1,"a",{}],"in":{"x":-3}}')
  t.same(
    Object.entries(object),
    Object.entries({ op: 'connect', id: 7, yes: true, no: false, none: null, list: [1, 'a', {}], in: { x: -3 } }),
  )
  t.same(Object.keys(parse('{}')), [])
  t.same(Object.keys(parse(' \t\r\n{ \t\r\n} \t\r\n')), [], 'white space')
})

await t.test('strings are unescaped, and text beyond ASCII survives', async t => {
  const text = String.raw`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE80","b":"é世🚀","é\u0041":"","c":"\ud800"}`
  const object = parse(text)
  t.equal(object['a'], '"\\/\b\f\n\r\té🚀')
  t.equal(object['b'], 'é世🚀')
  t.equal(object['éA'], '')
  t.equal(object['c'], '\ud800')
})

await t.test('objects inherit nothing', async t => {
  const object = parse('{"in":{"constructor":1},"list":[{}]}')
  const [first] = object['list'] as JsonObject[]
  for (const each of [object, object['in'], first]) t.equal(inherits(each as JsonObject), false)
  t.equal(object['toString'], undefined)
  t.equal((object['in'] as JsonObject)['constructor'], 1, 'and any other name is a key like others')
})

await t.test('data of the root object is opaque in a frame and in an event', async t => {
  const values = [
    '1',
    '-0.5e+10',
    '"a\\u0041é"',
    'null',
    'true',
    '{}',
    '[]',
    '{ "a" : [ 1 , { } ] }',
    '12345678901234567890',
    '"世🚀"',
  ]
  for (const layout of ['frame', 'event'] as const) {
    for (const value of values) {
      for (const text of [`{"é":"ü","data":${value},"z":1}`, `{"data" : \n${value}\t }`]) {
        t.equal(cut(text, parse(text, layout)['data']), value, `${layout} ${text}`)
      }
    }
  }
})

await t.test('data is known by its name after unescaping', async t => {
  const text = String.raw`{"d\u0061ta":[1,1.5]}`
  t.equal(cut(text, parse(text)['data']), '[1,1.5]')
})

await t.test('data elsewhere is a name like others', async t => {
  const { to, list } = parse('{"to":{"data":7},"list":[{"data":8}],"events":[{"data":9}]}')
  t.equal((to as JsonObject)['data'], 7)
  t.equal((list as JsonObject[])[0]?.['data'], 8)
  t.equal((parse('{"events":[{"data":9}]}')['events'] as JsonObject[])[0]?.['data'], 9, 'an event has no events')
})

await t.test('in a batch the data of each event is opaque, and no other', async t => {
  const text = '{"data":1,"events":[{"data":{"é":1}},{"id":"b"},{"data" : [2] ,"more":{"data":3}},[{"data":4}],5]}'
  const object = parse(text, 'batch')
  const events = object['events'] as JsonObject[]
  t.equal(object['data'], 1)
  t.equal(cut(text, events[0]?.['data']), '{"é":1}')
  t.equal(events[1]?.['data'], undefined)
  t.equal(cut(text, events[2]?.['data']), '[2]')
  t.equal((events[2]?.['more'] as JsonObject | undefined)?.['data'], 3)
  t.equal((events[3] as unknown as JsonObject[] | undefined)?.[0]?.['data'], 4)
  const inner = parse('{"x":{"events":[{"data":6}]},"events":{"data":7}}', 'batch')
  t.equal((inner['events'] as JsonObject)['data'], 7, 'events must be a list')
  t.equal(((inner['x'] as JsonObject)['events'] as JsonObject[])[0]?.['data'], 6, 'of the root')
})

await t.test('numbers outside data are integers, or no numbers at all', async t => {
  const object = parse('{"a":0,"b":-7,"c":9007199254740991,"d":1.5,"e":1e3,"f":1.0,"g":1E-2,"h":-0.0}')
  t.same([object['a'], object['b'], object['c']], [0, -7, 2 ** 53 - 1])
  for (const key of ['d', 'e', 'f', 'g', 'h']) t.ok(Number.isNaN(object[key]), key)
  t.notOk(Number.isSafeInteger(parse('{"a":9007199254740992}')['a']), 'what a double cannot hold is no safe integer')
  t.notOk(Number.isSafeInteger(parse(`{"a":${'9'.repeat(400)}}`)['a']))
})

// One a word; with no String.raw an escape would be read by TypeScript.
const ILL_FORMED = String.raw`
  { } [ "a '' 'a' {"a"} {"a":} {"a":1,} {,"a":1} {"a":1"b":2} {"a":1}} {a:1} {'a':1} {"a":1] {"a"::1} {1:2} {null:1}
  [1,] [,1] [1"a"] [1,,2] [1} 01 00 - -01 +1 1. .5 1e 1e+ 1.e1 0x10 1_000 1n NaN Infinity -Infinity --1 tru truee True nul
  nulll undefined "\x" "\u12" "\u123" "\u123g" "\u12g4" "\U0041" "\" "\ "a"b 1; 1// /**/1
`
  .trim()
  .split(/\s+/)
  .concat(
    '',
    ' ',
    '1 2',
    '[1 2]',
    '{"a":1 "b":2}',
    'tr ue',
    '- 1',
    '1\0',
    '\v1',
    '\f1',
    '\u00a01',
    '\ufeff1',
    '\u20281',
  )
  .concat(['\t', '\n', '\0', '\x1f'].map(control => `"${control}"`))

await t.test('what is not well-formed is bad_json, outside data and inside', async t => {
  const places: [Layout, (value: string) => string][] = [
    ['event', value => `{"x":${value}}`],
    ['frame', value => `{"x":[{"y":${value}}]}`],
    ['event', value => `{"data":${value}}`],
    ['frame', value => `{"data":[{"y":${value}}]}`],
    ['batch', value => `{"events":[{"data":${value}}]}`],
  ]
  for (const [layout, place] of places) {
    const other = ILL_FORMED.filter(value => refusal(Buffer.from(place(value)), layout) !== 'bad_json')
    t.same(other, [], place('…'))
  }
})

await t.test('the root is one object and nothing more', async t => {
  const bad = '| |null|true|1|"a"|[]|[{}]|{}{}|{} 1|{},|{}]|{}//|{}\0|\0{}|\ufeff{}|\u00a0{}'.split('|')
  for (const layout of LAYOUTS) {
    t.same(
      bad.filter(text => refusal(Buffer.from(text), layout) !== 'bad_json'),
      [],
      layout,
    )
  }
})

await t.test('what is not UTF-8 is bad_json, outside data and inside', async t => {
  const bad = {
    'a continuation alone': [0x80],
    'a beginning alone': [0xc3],
    'a long form of /': [0xc0, 0xaf],
    'a surrogate': [0xed, 0xa0, 0x80],
    'beyond U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
    'a byte that UTF-8 never has': [0xff],
  }
  for (const [what, bytes] of Object.entries(bad)) {
    for (const key of ['data', 'x']) {
      const text = Buffer.concat([Buffer.from(`{"${key}":"`), Buffer.from(bytes), Buffer.from('"}')])
      t.equal(refusal(text, 'event'), 'bad_json', `${what} in ${key}`)
    }
  }
})

await t.test('a key that stands twice is refused outside data', async t => {
  const bad = [
    '{"a":1,"a":1}',
    '{"a":null,"a":null}',
    String.raw`{"a":1,"\u0061":2}`,
    '{"é":1,"\\u00e9":2}',
    '{"x":{"a":1,"b":2,"a":3}}',
    '{"x":[{"a":1,"a":2}]}',
    '{"data":1,"data":2}',
    String.raw`{"data":1,"d\u0061ta":2}`,
    '{"":1,"":2}',
    '{"constructor":1,"constructor":2}',
  ]
  for (const text of bad) t.throws(() => parse(text), { code: 'duplicate_key', message: /twice/ }, text)
  t.equal(refusal(Buffer.from('{"events":[{"data":1,"data":2}]}'), 'batch'), 'duplicate_key')
  t.doesNotThrow(
    () => parse('{"a":{"a":1},"b":{"a":[{"a":1},{"a":2}]},"A":1,"a ":1}'),
    'the same key in another object is another',
  )
})

await t.test('__proto__ is no key outside data', async t => {
  for (const text of [
    '{"__proto__":1}',
    '{"x":{"__proto__":{}}}',
    '{"x":[{"__proto__":1}]}',
    String.raw`{"\u005f_proto__":1}`,
  ]) {
    t.throws(() => parse(text), { code: 'bad_json', message: /__proto__/ }, text)
  }
  t.equal(parse('{"x":"__proto__"}')['x'], '__proto__', 'but it may be a value')
  t.equal({}.constructor, Object)
})

await t.test('inside data duplicate keys, __proto__ and half surrogate pairs pass unchanged', async t => {
  const data = String.raw`{"a":1,"a":2,"__proto__":{"__proto__":1},"data":1,"data":1.5,"s":"\ud800"}`
  const text = `{"data":${data}}`
  t.equal(cut(text, parse(text)['data']), data)
})

await t.test('outside data 32 levels are the end, the root being the first', async t => {
  t.doesNotThrow(() => parse(`{"a":${nested(31)}}`))
  t.doesNotThrow(() => parse(`{"a":${nested(31, '{"a":', '}').replace('}', '1}')}}`))
  for (const depth of [32, 33, 1000, 1_000_000]) {
    t.throws(() => parse(`{"a":${nested(depth)}}`), { code: 'too_deep', message: /32/ }, `${depth} lists in the root`)
  }
  t.equal(
    refusal(Buffer.from(`{"a":${'{"a":'.repeat(32)}1${'}'.repeat(33)}`), 'frame'),
    'too_deep',
    'objects count too',
  )
  t.equal(refusal(Buffer.from(`{"a":${'['.repeat(1_000_000)}`), 'frame'), 'too_deep', 'also when nothing is closed')
  t.doesNotThrow(() => parse(`{"a":[${Array(1000).fill(nested(30)).join(',')}]}`), 'width is not depth')
})

await t.test('inside data 64 levels are the end, counted from data itself', async t => {
  for (const [layout, start, end] of [
    ['event', '{"data":', '}'],
    ['batch', '{"events":[{"data":', '}]}'],
  ] as const) {
    t.doesNotThrow(() => parse(`${start}${nested(64)}${end}`, layout))
    t.doesNotThrow(() => parse(`${start}${'{"a":'.repeat(64)}1${'}'.repeat(64)}${end}`, layout))
    for (const depth of [65, 1_000_000]) {
      t.throws(() => parse(`${start}${nested(depth)}${end}`, layout), { code: 'too_deep', message: /64/ })
    }
    t.throws(() => parse(`${start}${'{"a":'.repeat(65)}1${'}'.repeat(65)}${end}`, layout), { code: 'too_deep' })
    t.throws(
      () => parse(`${start}${'['.repeat(1_000_000)}`, layout),
      { code: 'too_deep' },
      'also when nothing is closed',
    )
  }
})

await t.test('a refusal says where', async t => {
  t.throws(() => parse('{"é":tru}'), { code: 'bad_json', message: /byte 6\b/ }, 'counted in bytes')
  t.throws(() => parse('{"a":1'), { code: 'bad_json', message: /byte 6\b/ })
})
