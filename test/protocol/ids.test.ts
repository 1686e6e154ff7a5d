import { t } from 'tap'
import {
  isCount,
  parseConnectionId,
  parseEventId,
  parseEventType,
  parseSiteId,
  parseThreadId,
  parseUserId,
} from '../../src/protocol/ids.ts'

const parsers = { parseUserId, parseThreadId, parseEventId, parseConnectionId }

await t.test('an id is 1 to 128 characters of its alphabet', async t => {
  const good = [
    '7',
    'a',
    'A-Z_a.z:0@9',
    '.a',
    'a.',
    '...-',
    '-',
    ':',
    '@',
    '_',
    '__proto',
    '__proto__2',
    'constructor',
    'x'.repeat(128),
  ]
  for (const [name, parse] of Object.entries(parsers)) {
    for (const id of good) t.equal(parse(id), id, `${name} takes ${id}`)
  }
})

await t.test('an integer from 0 to 2^53-1 stands for its decimal string', async t => {
  for (const parse of Object.values(parsers)) {
    t.equal(parse(0), '0')
    t.equal(parse(42), '42')
    t.equal(parse(2 ** 53 - 1), '9007199254740991')
  }
})

await t.test('what is no id is refused', async t => {
  const bad = {
    nothing: '',
    'dots alone': '.',
    'the folder above': '..',
    '128 dots': '.'.repeat(128),
    '129 characters': 'x'.repeat(129),
    'the name of a prototype': '__proto__',
    'a slash, which would reach into another site': 'a/b',
    'a space': 'a b',
    'a line break at the end': 'a\n',
    'a line break in the middle': 'a\nb',
    'dots and a line break': '..\n',
    'a NUL': 'a\0',
    'a control character': 'a\x1b',
    'a delete character': '\x7f',
    'a letter beyond ASCII': 'é',
    'a full-width digit': '７',
    'a quote': 'a"',
    'a brace, which would move a key to another slot': '{a}',
    'a star': '*',
    'a negative integer': -1,
    'negative zero': -0,
    'a fraction': 1.5,
    '2^53': 2 ** 53,
    'a large number': 1e21,
    'not a number': Number.NaN,
    infinity: Number.POSITIVE_INFINITY,
    'a big integer': 7n,
    true: true,
    null: null,
    undefined: undefined,
    'a list of one id': ['7'],
    'an object that prints as an id': { toString: () => '7' },
  }
  for (const [name, parse] of Object.entries(parsers)) {
    for (const [what, value] of Object.entries(bad)) t.equal(parse(value), undefined, `${name} refuses ${what}`)
  }
})

await t.test('a site id is a lower-case name of at most 63 characters, as in DNS', async t => {
  for (const id of ['a', '0', 'acme', 'a-b', 'a-', 'x'.repeat(63)]) t.equal(parseSiteId(id), id)
  const bad = [
    '',
    '-a',
    'Acme',
    'a.b',
    'a_b',
    'a/b',
    'a:b',
    'a\n',
    'é',
    '__proto__',
    'x'.repeat(64),
    7,
    null,
    undefined,
    ['acme'],
  ]
  for (const id of bad) t.equal(parseSiteId(id), undefined, `refuses ${JSON.stringify(id)}`)
})

await t.test('a type is 1 to 64 characters, without @ and never a number', async t => {
  for (const type of ['message', 'call.offer', 'a:b-c_D', '.', 'x'.repeat(64)]) t.equal(parseEventType(type), type)
  const bad = ['', 'a@b', 'a b', 'a"b', 'a/b', 'a\n', 'é', '*', 'x'.repeat(65), 7, null, undefined, ['message']]
  for (const type of bad) t.equal(parseEventType(type), undefined, `refuses ${JSON.stringify(type)}`)
})

await t.test('a count is an integer from 0 to 2^53-1', async t => {
  for (const count of [0, 1, 2 ** 53 - 1]) t.ok(isCount(count), String(count))
  for (const other of [-1, -0, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '0', null, undefined, 1n]) {
    t.notOk(isCount(other), String(other))
  }
})
