import { t } from 'tap'
import {
  chainedFrame,
  ephemeralFrame,
  type FramePieces,
  type OriginEvent,
  ownFrame,
  writeAfter,
  writeFrame,
} from '../../src/protocol/encode.ts'
import { parseEventId, parseEventType, parseThreadId } from '../../src/protocol/ids.ts'
import { valid } from '../contract/node.ts'

function event(more: Partial<OriginEvent> = {}): OriginEvent {
  return {
    id: valid(parseEventId('e-1')),
    type: valid(parseEventType('message')),
    thread: valid(parseThreadId('42')),
    at: 1_700_000_000_123,
    receipt: undefined,
    data: Buffer.from('{"text":"hello"}'),
    ...more,
  }
}

function placed(pieces: FramePieces): Buffer {
  return writeFrame(pieces, 1_700_000_000_000_002, 1_700_000_000_000_001)
}

await t.test('the frame of an event in a chain', async t => {
  t.equal(
    placed(chainedFrame('thread:42', event())).toString(),
    '{"op":"event","chain":"thread:42","stamp":1700000000000002,"prev":1700000000000001,"id":"e-1","type":"message","thread":"42","at":1700000000123,"data":{"text":"hello"}}',
  )
})

await t.test('the frame of an event without a thread', async t => {
  t.equal(
    placed(chainedFrame('user', event({ thread: undefined }))).toString(),
    '{"op":"event","chain":"user","stamp":1700000000000002,"prev":1700000000000001,"id":"e-1","type":"message","at":1700000000123,"data":{"text":"hello"}}',
  )
})

await t.test('the frame of an ephemeral event has no place', async t => {
  t.equal(
    writeFrame(ephemeralFrame(event()), 0, 0).toString(),
    '{"op":"event","id":"e-1","type":"message","thread":"42","at":1700000000123,"data":{"text":"hello"}}',
  )
})

await t.test('data arrives byte for byte', async t => {
  const data = {
    'spacing and the order of keys': '{ "b" : 1,\n\t"a":[ ] }',
    'numbers beyond 2^53': '12345678901234567890.123e-400',
    'text beyond ASCII': '"grüß dich, 世界 🚀"',
    'escapes, also of half a surrogate pair': String.raw`"\ud800 \u0000 \/ \""`,
    'duplicate keys and prototypes': '{"a":1,"a":2,"__proto__":{}}',
    'what looks like a frame': '{"op":"event","id":"x","type":"own","stamp":1,"prev":0}',
    null: 'null',
  }
  for (const [what, text] of Object.entries(data)) {
    const bytes = Buffer.from(text)
    for (const pieces of [chainedFrame('site', event({ data: bytes })), ephemeralFrame(event({ data: bytes }))]) {
      const after = writeAfter(pieces)
      t.ok(after.subarray(after.indexOf(',"data":') + 8, -1).equals(bytes), what)
    }
    t.doesNotThrow(
      () => JSON.parse(placed(chainedFrame('site', event({ data: bytes }))).toString()),
      `${what}: a frame is JSON`,
    )
  }
})

await t.test('a frame that was written shares no memory with the body that its data was cut from', async t => {
  const data = Buffer.from('"first"')
  const frame = placed(chainedFrame('site', event({ data })))
  data.fill('x')
  t.match(frame.toString(), '"first"')
})

await t.test('the left-out connection is sent the place without type, thread and data', async t => {
  const own =
    '{"op":"event","chain":"thread:42","stamp":1700000000000002,"prev":1700000000000001,"id":"e-1","own":true}'
  t.equal(ownFrame(placed(chainedFrame('thread:42', event()))).toString(), own)
  const tricky = event({
    id: valid(parseEventId('type')),
    type: valid(parseEventType('type')),
    thread: valid(parseThreadId('type')),
    data: Buffer.from('{"x":1,"type":"y"}'),
  })
  t.equal(
    ownFrame(placed(chainedFrame('thread:type', tricky))).toString(),
    '{"op":"event","chain":"thread:type","stamp":1700000000000002,"prev":1700000000000001,"id":"type","own":true}',
    'whatever the names are',
  )
})
