/**
 * What anyone may send, read in this process: frames, whole and chopped, and the bodies of calls. A frame or a Refusal comes
 * out, of an event and of chains too; nothing is thrown, nothing inherits, nothing takes long, nothing stays in memory.
 */
import { t } from 'tap'
import { readChains } from '../../src/api/chains.ts'
import { readEvent } from '../../src/api/event.ts'
import { decodeFrame, decodeId } from '../../src/protocol/decode.ts'
import { isCount, type SiteId } from '../../src/protocol/ids.ts'
import { type Json, parseJson, RawJson } from '../../src/protocol/raw-json.ts'
import { Refusal } from '../../src/protocol/refusal.ts'
import { inherits } from '../support/inherits.ts'
import { damaged, exampleFrames, heapBytes, jsonText, nested, noise, twisted } from '../support/damage.ts'
import { Chance, SEED } from '../support/random.ts'

const FRAMES = 120_000
const BODIES = 80_000
const GROWTH_BYTES = 4 * 1024 * 1024
/** Of processor time. Each takes milliseconds; what goes over its bytes again for each of them would take minutes. */
const HANG_MS = 5000
/** As many bytes as the largest body may have, and sixteen times as many as a frame. */
const LARGE = 1_048_576
const DATA_BYTES = 65_536

const FRAME_CODES = ['bad_json', 'bad_frame', 'duplicate_key', 'too_deep']
const BODY_CODES = [
  'bad_json',
  'duplicate_key',
  'too_deep',
  'bad_field',
  'bad_target',
  'bad_id',
  'bad_chain',
  'too_large',
]

t.setTimeout(300_000)

const EXAMPLES = [...exampleFrames('Client to relay'), ...exampleFrames('Relay to client')]
const EVENTS = [
  { to: { thread: '42' }, type: 'message', data: { text: 'é' }, id: 9, receipt_to: '7' },
  {
    to: { users: ['7', 8, 'a@b'] },
    type: 'call.offer',
    data: null,
    thread: 'x',
    except: 'XBO7_cIi.0',
    ephemeral: true,
  },
  { to: { site: true }, type: 'notice', data: [1.5, 'x'.repeat(300)] },
]
const CHAINS = { chains: ['thread:42', 'user:7', 'site'] }

await fuzz('decodeFrame', FRAMES, { codes: FRAME_CODES, make: frame, check: checkFrame })
await fuzz('the readers of API bodies', BODIES, { codes: BODY_CODES, make: body, check: checkBody })

await t.test(`${LARGE} bytes of the worst kinds are read or refused before they hang anything`, async t => {
  const fill = (unit: string, start = '', end = ''): string =>
    start + unit.repeat((LARGE - start.length - end.length) / unit.length) + end
  const keys = (name: (i: number) => string): string =>
    Array.from({ length: LARGE / 16 }, (_, i) => `"${name(i)}":1`).join()
  const worst: Record<string, string> = {
    'nothing but lists in lists': fill('[', '{"op":'),
    'nothing but lists in lists in data': fill('[', '{"data":'),
    'nothing but objects in objects': fill('{"a":'),
    'nothing but "': fill('"'),
    'nothing but \\': fill('\\', '{"op":"'),
    'nothing but spaces': fill(' '),
    'spaces in an object': fill(' ', '{"op":"a"', '}'),
    'a string without an end': fill('a', '{"op":"'),
    'a string of escapes': fill('\\u0041', '{"op":"', '"}'),
    'a string of lone surrogates': fill('\\ud800', '{"op":"', '"}'),
    'a string beyond ASCII': fill('é', '{"op":"', '"}'),
    'one number': fill('9', '{"op":"a","n":', '}'),
    'a number that never ends': fill('1', '{"op":"a","n":1e', 'x}'),
    'many numbers with exponents': fill('1e9,', '{"op":"a","n":[', '1]}'),
    'a list of empty lists in data': fill('[],', '{"op":"a","data":[', '[]]}'),
    'deep lists in data, again and again': fill(`${nested(60)},`, '{"op":"a","data":[', '[]]}'),
    'many keys': `{"op":"a",${keys(i => `k${i}`)}}`,
    'many keys, the first one twice': `{${keys(i => `k${i}`)},"k0":1}`,
    'many keys that are numbers': `{"op":"a",${keys(i => String(i * 7919))}}`,
    'many events': fill('{"to":{"thread":"1"},"type":"m","data":1},', '{"events":[', '0]}'),
    'many users': `{"to":{"users":[${fill('"7",')}"7"]},"type":"m","data":1}`,
    'many chains': `{"chains":[${fill('"site",')}"site"]}`,
  }
  for (const [name, text] of Object.entries(worst)) {
    const bytes = Buffer.from(text)
    const took = process.cpuUsage()
    const outcomes = [checkFrame, checkBody].map(check => guarded(check, Buffer.from(bytes)) ?? 'read')
    const { user, system } = process.cpuUsage(took)
    const ms = (user + system) / 1000
    t.ok(
      ms < HANG_MS && !outcomes.some(outcome => outcome.startsWith('!')),
      `${name}: ${outcomes.join()}, ${Math.round(ms)} ms`,
    )
  }
})

interface Target {
  /** Refusals that are right for something. */
  codes: readonly string[]
  make: (chance: Chance) => Buffer
  /** Returns the code of the refusal, undefined when it was read, and what is wrong after an exclamation mark. */
  check: (bytes: Buffer) => string | undefined
}

async function fuzz(what: string, inputs: number, { codes, make, check }: Target): Promise<void> {
  await t.test(`${inputs} inputs to ${what} end in what was read or in a Refusal (SEED=${SEED})`, async t => {
    const chance = new Chance(SEED)
    const seen: Record<string, number> = {}
    let base = Infinity
    for (let i = 0; i < inputs; i++) {
      // What is compiled and cached once has been by then.
      if (i === Math.floor(inputs / 10)) base = heapBytes()
      const bytes = make(chance)
      const outcome = guarded(check, bytes) ?? 'read'
      seen[outcome] = (seen[outcome] ?? 0) + 1
      if (outcome === 'read' || codes.includes(outcome)) continue
      t.fail(
        `${outcome}: input ${i} of SEED=${SEED}, ${bytes.length} bytes: ${bytes.toString('base64').slice(0, 4000)}`,
      )
      return
    }
    const growth = heapBytes() - base
    t.comment(`${inputs} inputs, SEED=${SEED}, heap ${Math.round(growth / 1024)} KiB more: ${JSON.stringify(seen)}`)
    t.ok(growth < GROWTH_BYTES, `the heap has grown by ${growth} bytes`)
    // Else the fuzzer has gone blind.
    for (const code of ['read', ...codes]) t.ok((seen[code] ?? 0) > 0, `${code}: ${seen[code]} times`)
  })
}

function guarded(check: Target['check'], bytes: Buffer): string | undefined {
  try {
    return check(bytes)
  } catch (error) {
    return `! threw ${String(error)}`
  }
}

function checkFrame(bytes: Buffer): string | undefined {
  decodeId(bytes)
  const frame = decodeFrame(bytes)
  if (frame instanceof Refusal) return frame.code
  const { op, id, fields, data } = frame
  if (typeof op !== 'string') return '! op is not a string'
  if (id !== undefined && !isCount(id)) return '! id is not a count'
  if (inheritsAnywhere(fields)) return '! something inherited'
  if (data === undefined) return undefined
  JSON.parse(data.toString())
  // The message is only lent, so a frame must have nothing of it.
  const kept = data.toString('latin1')
  bytes.fill(0)
  return data.toString('latin1') === kept ? undefined : '! data is not a copy'
}

/** Reads a body in each way that there is, and returns the first refusal if all refuse it. */
function checkBody(bytes: Buffer): string | undefined {
  const outcomes = [
    attempt(() => readEvent(parseJson(bytes, 'event'), bytes, '', DATA_BYTES)),
    attempt(() => readChains('acme' as SiteId, bytes)),
    attempt(() => {
      const { events } = parseJson(bytes, 'batch')
      if (!Array.isArray(events)) throw new Refusal('bad_field')
      const read = events.map(event => attempt(() => readEvent(event, bytes, '/events/0', DATA_BYTES)))
      if (read.length > 0 && read.every(each => each !== undefined)) throw read[0]!
    }),
  ]
  return outcomes.includes(undefined) ? undefined : outcomes[chosen(bytes)]?.code
}

// Each way gets its turn to be the one whose refusal is told.
function chosen(bytes: Buffer): number {
  const text = bytes.toString('latin1')
  return text.includes('"chains') ? 1 : text.includes('"events') ? 2 : 0
}

function attempt(read: () => unknown): Refusal | undefined {
  try {
    const result = read()
    if (result instanceof Object && 'data' in result) JSON.parse((result.data as Buffer).toString())
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

function inheritsAnywhere(value: Json | undefined): boolean {
  if (typeof value !== 'object' || value === null || value instanceof RawJson) return false
  if (Array.isArray(value)) return value.some(inheritsAnywhere)
  return inherits(value) || Object.values(value).some(inheritsAnywhere)
}

function frame(chance: Chance): Buffer {
  return spoilt(chance, chance.pick(EXAMPLES))
}

function body(chance: Chance): Buffer {
  if (chance.is(0.001)) return spoilt(chance, { ...EVENTS[0], data: 'x'.repeat(DATA_BYTES) })
  const batch = (): object => ({ events: Array.from({ length: 1 + chance.below(4) }, () => chance.pick(EVENTS)) })
  return spoilt(chance, chance.is(0.3) ? batch() : chance.pick([...EVENTS, CHAINS]))
}

/** Returns a document as it is, twisted, damaged, chopped, or something else altogether. */
function spoilt(chance: Chance, value: unknown): Buffer {
  if (chance.is(0.05)) return noise(chance, 200)
  const whole = Buffer.from(jsonText(chance, chance.is(0.5) ? twisted(chance, value) : value))
  if (chance.is(0.1)) return whole.subarray(0, chance.below(whole.length))
  return chance.is(0.4) ? damaged(chance, whole) : whole
}
