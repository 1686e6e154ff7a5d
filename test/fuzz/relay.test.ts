/**
 * A relay as a process of its own, under all that may come to its three ports at once: frames before and after `connect`,
 * bytes that are hardly WebSocket or HTTP, calls with odd paths, headers and bodies, and silence. Then it must be as before.
 * The inputs follow from the seed; how they come together does not.
 */
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { t, type Test } from 'tap'
import { CODES } from '../../src/protocol/codes.ts'
import { upgrade } from '../gateway/raw.ts'
import { Client } from '../support/client.ts'
import { damaged, exampleFrames, jsonText, noise, twisted } from '../support/damage.ts'
import { Chance, SEED } from '../support/random.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const FRAMES = 12_000
const SOCKETS = 1500
const REQUESTS = 3000
const CALLS = 5000
const INPUTS = FRAMES + SOCKETS + REQUESTS + CALLS
/** Of resident memory, from what it was after the first third. */
const GROWTH_BYTES = 64 * 1024 * 1024
const SILENT = 20
const BODY_BYTES = 1_048_576
const HANG_MS = 20_000

t.setTimeout(300_000)

const MANY = 1_000_000
const limits = { frames_per_second: MANY, frames_burst: MANY, send_per_second: MANY, connections_per_user: MANY }
const [acme, calm] = [new Site('acme'), new Site('calm')]
const relay = await startRelay(t, { ...acme.entry({ limits }), ...calm.entry() })

const threads = Object.fromEntries(['42', '43', '44'].map(thread => [thread, ['read', 'send', 'presence']]))
// Calls disconnect 8, and at times more.
const users = ['7', '8', '9', '10', '11'].map(user => acme.user(user, threads, { watch: true, info: { name: user } }))
const grant = acme.user('7', { 99: ['read', 'send'] }, { aud: 'throughline:grant' })
const examples = exampleFrames('Client to relay')
const foreign = exampleFrames('Relay to client')
// These end their connection unless all is right with them, and what comes behind them is not read.
const rare = examples.filter(({ op }) => op === 'connect' || op === 'refresh')
const often = examples.filter(example => !rare.includes(example))

const EVENT = { to: { thread: '42' }, type: 'message', data: { text: 'é' }, receipt_to: '7' }
const ROUTES: [method: string, path: string, body?: object][] = [
  ['POST', '/v1/publish', EVENT],
  ['POST', '/v1/publish?report=online', { ...EVENT, to: { users: ['7', 8] } }],
  ['POST', '/v1/publish/batch', { events: [EVENT, { ...EVENT, to: { site: true }, ephemeral: true }] }],
  ['POST', '/v1/heads', { chains: ['thread:42', 'user:7', 'site'] }],
  ['POST', '/v1/gaps', { chains: ['thread:42', 'user:7', 'site'] }],
  ['POST', '/v1/threads/42/members', { add: { 7: ['read', 'send'] }, remove: ['8'] }],
  ['POST', '/v1/users/8/disconnect', { revoke: false, reason: 'bye' }],
  ['POST', '/v1/presence/online', { users: ['7', '8'] }],
  ['GET', '/v1/threads/42/presence'],
  ['GET', '/v1/ice?user=7'],
  ['GET', '/v1/openapi.json'],
]

const agent = new Agent({ keepAlive: true })
t.teardown(() => agent.destroy())

const seen: Record<string, number> = {}

await t.test(`${INPUTS} inputs to a relay leave it as it was (SEED=${SEED})`, async t => {
  const listener = await Client.connect(t, relay, calm.user('1', { quiet: ['read'] }))
  await listener.subscribe('quiet')
  const silent = Array.from({ length: SILENT }, (_, i) => keepSilent(new Chance(SEED + i)))
  await fuzz(1 / 3, 100)
  await publishAndExpect('after the first third')
  const before = await measure()
  await fuzz(2 / 3, 200)
  await publishAndExpect('after all')
  for (const socket of silent) socket.destroy()

  await until(async () => (await measure()).connections === 1, { ms: HANG_MS, what: 'one open connection' })
  const after = await measure()
  const growth = after.resident - before.resident
  t.comment(
    `${FRAMES} frames, ${SOCKETS} WebSockets of raw bytes, ${REQUESTS} raw requests, ${CALLS} calls, SEED=${SEED}`,
  )
  t.comment(`${after.frames} frames were read, resident memory ${Math.round(growth / 1024)} KiB more`, seen)
  t.ok(growth < GROWTH_BYTES, `resident memory has grown by ${growth} bytes`)
  await until(async () => (await measure()).files <= before.files, { ms: HANG_MS, what: 'files to be closed' })
  t.match(after.text, /refusals_total\{code="internal"\} 0\n/, 'no fault was counted')
  t.strictSame(
    relay.log.filter(line => (JSON.parse(line) as { level: number }).level >= 50),
    [],
    'no fault was logged',
  )
  t.equal(listener.closed, undefined, "another site's client is still connected")
  // Else the fuzzer has gone blind.
  t.ok(after.frames > FRAMES / 3, `${after.frames} frames were read`)
  for (const status of ['200', '400', '401', '403', '404', '405', '413', '415', '422']) {
    t.ok((seen[status] ?? 0) > 0, `${status}: ${seen[status]} times`)
  }

  async function publishAndExpect(data: string): Promise<void> {
    const event = { to: { thread: 'quiet' }, type: 'message', data }
    t.equal((await call(relay, calm.server(), '/v1/publish', event)).status, 200, data)
    await listener.expect(frame => frame['data'] === data, data)
  }

  async function fuzz(share: number, seed: number): Promise<void> {
    const workers = (count: number, inputs: number, work: (chance: Chance) => Promise<number>) =>
      Array.from({ length: count }, async () => {
        const chance = new Chance(SEED + seed++)
        for (let done = 0; done < (inputs * share) / count; ) done += await work(chance)
      })
    await Promise.all([
      ...workers(8, FRAMES, chance => frames(t, chance)),
      ...workers(4, SOCKETS, socketBytes),
      ...workers(4, REQUESTS, requestBytes),
      ...workers(4, CALLS, oddCall),
    ])
  }
})

/** What the relay tells of itself. */
async function measure(): Promise<Record<'connections' | 'resident' | 'files' | 'frames', number> & { text: string }> {
  const text = await (await fetch(`${relay.admin}/metrics`)).text()
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'gm'))].reduce(
      (total, [, value]) => total + Number(value),
      0,
    )
  return {
    text,
    connections: sum('throughline_connections'),
    resident: sum('process_resident_memory_bytes'),
    files: sum('process_open_fds'),
    frames: sum('throughline_frames_received_total'),
  }
}

/** Sends some frames on a connection of their own, mostly that of a real user, and returns how many. */
async function frames(t: Test, chance: Chance): Promise<number> {
  const client = await Client.open(t, relay)
  if (chance.is(0.9)) client.send({ op: 'connect', token: chance.pick(users), client: 'é' })
  const count = 1 + chance.below(20)
  for (let i = 0; i < count && client.closed === undefined; i++)
    client.socket.send(frame(chance), { binary: chance.is(0.002) })
  // Whether it is answered or closed by now, all that came before has been worked on.
  client.send({ op: 'unwatch', id: MANY, users: ['0'] })
  await until(() => client.closed !== undefined || client.frames.some(({ id }) => id === MANY), {
    ms: HANG_MS,
    what: () => `an answer, or a close, SEED=${SEED}`,
  })
  client.socket.terminate()
  return count
}

function frame(chance: Chance): Buffer | string {
  const example = chance.pick(chance.is(0.02) ? rare : chance.is(0.05) ? foreign : often)
  const real = {
    ...example,
    ...('token' in example ? { token: chance.pick(users) } : {}),
    ...('threads' in example && chance.is(0.3) ? { grant } : {}),
  }
  const value = chance.is(0.6) ? twistedBelow(chance, real) : real
  const text = chance.is(0.05) ? jsonText(chance, value) : JSON.stringify(value)
  return chance.is(0.01) ? damaged(chance, Buffer.from(text)) : text
}

/** Leaves `op` and `id` alone most of the time, so that something comes of the rest. */
function twistedBelow(chance: Chance, { op, id, ...fields }: Record<string, unknown>): unknown {
  return chance.is(0.02) ? twisted(chance, { op, id, ...fields }) : { ...(twisted(chance, fields) as object), op, id }
}

async function socketBytes(chance: Chance): Promise<number> {
  const payloads = Array.from({ length: 1 + chance.below(4) }, () =>
    chance.is(0.5) ? noise(chance, 200) : Buffer.from(frame(chance)),
  )
  if (chance.is(0.5)) payloads.unshift(Buffer.from(JSON.stringify({ op: 'connect', token: chance.pick(users) })))
  const opening = chance.is(0.9) ? upgrade() : damaged(chance, upgrade())
  await ended(relay.ws, Buffer.concat([opening, ...payloads.map(payload => rawFrame(chance, payload))]))
  return 1
}

/** Returns a frame of RFC 6455 §5.2 with whatever bits, masked or not, and at times another length than it says. */
function rawFrame(chance: Chance, payload: Buffer): Buffer {
  const opcode = chance.is(0.6) ? 1 : chance.below(16)
  const first = (chance.is(0.7) ? 0x80 : 0) | (chance.is(0.05) ? chance.pick([0x40, 0x20, 0x10]) : 0) | opcode
  const masked = chance.is(0.9)
  const says = BigInt(
    chance.is(0.8) ? payload.length : chance.pick([0, 125, 126, 65_535, 2 ** 18 + 1, 2 ** 32, 2 ** 63]),
  )
  const [kind, bytes] = says < 126n ? [Number(says), 0] : says < 65_536n && chance.is(0.9) ? [126, 2] : [127, 8]
  const length = Buffer.from(says.toString(16).padStart(16, '0'), 'hex').subarray(8 - bytes)
  const mask = masked ? Buffer.from([1, 2, 3, 4].map(() => chance.below(256))) : Buffer.alloc(0)
  const body = masked ? payload.map((byte, i) => byte ^ mask[i % 4]!) : payload
  return Buffer.concat([Buffer.from([first, (masked ? 0x80 : 0) | kind]), length, mask, body])
}

async function requestBytes(chance: Chance): Promise<number> {
  const count = 1 + chance.below(4)
  const bytes = Buffer.concat(Array.from({ length: count }, () => requestText(chance)))
  await ended(chance.pick([relay.ws, relay.api, relay.admin]), bytes)
  return count
}

function requestText(chance: Chance): Buffer {
  const [method, path, body] = chance.pick([
    ...ROUTES,
    ['GET', '/metrics'],
    ['OPTIONS', '/v1/ice'],
    ['GET', '/v1/ws'],
  ] as typeof ROUTES)
  const json = body === undefined ? '' : jsonText(chance, body)
  const framing = chance.pick([
    `Content-Length: ${Buffer.byteLength(json)}`,
    `Content-Length: ${chance.pick(['-1', '1e3', '0x10', '', '99999999999999999999', '1048577', '5, 5', '7'])}`,
    `Content-Length: 5\r\nContent-Length: 6`,
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    `Transfer-Encoding: ${chance.pick(['chunked', 'chunked', 'gzip, chunked', 'xchunked', 'chunked, identity'])}`,
  ])
  const size = chance.pick([Buffer.byteLength(json).toString(16), 'ffffffffffffffff', '-1', 'zz', '0', '', '5;ext=1'])
  const content = framing.includes('chunked')
    ? `${size}\r\n${json}\r\n0\r\n${chance.pick(['\r\n', 'a: b\r\n\r\n', ''])}`
    : json
  const more = chance.pick([
    '',
    '',
    `X: ${'y'.repeat(chance.below(20_000))}`,
    'No colon',
    ': none',
    'Expect: 100-continue',
    ' folded',
  ])
  const lines = [
    `${method} ${chance.is(0.2) ? oddPath(chance, path) : path} HTTP/${chance.is(0.9) ? '1.1' : chance.pick(['1.0', '0.9', '2.0', '9', ''])}`,
    ...(chance.is(0.95) ? ['Host: x'] : []),
    `Authorization: Bearer ${chance.is(0.5) ? acme.server() : chance.pick(users)}`,
    'Content-Type: application/json',
    ...(more === '' ? [] : [more]),
    framing,
  ]
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${content}`)
  return chance.is(0.3) ? damaged(chance, bytes) : bytes
}

function oddPath(chance: Chance, path: string): string {
  const odd = [
    '%',
    '%00',
    '%2f',
    '%ff',
    '//',
    '/../..',
    '?a=%',
    '?report=online&report=x',
    '#',
    'é',
    ';',
    '*',
    'x'.repeat(3000),
  ]
  return chance.is(0.5) ? path.replace(/\w*$/, chance.pick(odd)) : damaged(chance, Buffer.from(path)).toString('latin1')
}

/** Makes a call that is whole as HTTP, and holds the answer to what answers are: known codes, and never a fault. */
async function oddCall(chance: Chance): Promise<number> {
  const [method, path, body] = chance.pick(ROUTES)
  const text = jsonText(chance, chance.is(0.6) ? twisted(chance, body) : body)
  const bytes = chance.is(0.01)
    ? Buffer.alloc(BODY_BYTES + 1, 0x20)
    : chance.is(0.2)
      ? damaged(chance, Buffer.from(text))
      : Buffer.from(text)
  const token = headerText(
    chance.is(0.9)
      ? acme.server(chance.is(0.1) ? { scope: 'publish' } : {})
      : damaged(chance, Buffer.from(acme.server())).toString('latin1'),
  )
  const verb = chance.is(0.95) ? method : chance.pick(['PUT', 'GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS'])
  const sent = verb === 'GET' ? Buffer.alloc(0) : bytes
  const headers = {
    'content-length': String(sent.length),
    authorization: chance.is(0.95) ? `Bearer ${token}` : chance.pick(['', 'Basic YTpi', 'Bearer', token.slice(9)]),
    'content-type': chance.is(0.95) ? 'application/json' : chance.pick(['', 'text/plain', 'application/jsonx', 'é']),
    ...(chance.is(0.1)
      ? { 'throughline-licence': headerText(damaged(chance, Buffer.from(token)).toString('latin1')) }
      : {}),
  }
  const asked = chance.is(0.8) ? path : pathText(oddPath(chance, path))
  const { status, answer } = await exchange(verb, asked, headers, sent)
  seen[status] = (seen[status] ?? 0) + 1
  const { code } =
    status === 200 || verb === 'HEAD' || answer === '' ? { code: undefined } : (JSON.parse(answer) as { code: string })
  if (status >= 500 || (code !== undefined && !Object.hasOwn(CODES, code))) {
    throw new Error(`${status} ${code} to ${verb} ${asked}, SEED=${SEED}: ${bytes.toString('base64').slice(0, 4000)}`)
  }
  return 1
}

function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '~')
}

function pathText(text: string): string {
  return `/${text.slice(1).replace(/[^\x21-\x7e]/g, '~')}`
}

function exchange(
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer,
): Promise<{ status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(relay.api)
    const asking = request({ agent, hostname, port, method, path, headers, timeout: HANG_MS }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode!, answer: Buffer.concat(chunks).toString() }))
      response.on('error', reject)
    })
    asking.on('timeout', () => asking.destroy(new Error(`no answer to ${method} ${path}, SEED=${SEED}`)))
    // The relay need not read on what is too much.
    asking.on('error', error => (body.length > BODY_BYTES ? resolve({ status: 0, answer: '' }) : reject(error)))
    asking.end(body)
  })
}

/** Sends bytes and ends its half of the connection. Resolves when the relay has ended the other half. */
async function ended(url: string, bytes: Buffer): Promise<void> {
  const socket = open(url)
  socket.end(bytes)
  await until(() => socket.destroyed, { ms: HANG_MS, what: `the relay to end a connection, SEED=${SEED}` })
}

/** Sends half of something, and nothing more. */
function keepSilent(chance: Chance): Socket {
  const url = chance.pick([relay.ws, relay.ws, relay.api, relay.admin])
  const socket = open(url)
  socket.write(
    chance.is(0.5)
      ? Buffer.concat([upgrade(), rawFrame(chance, noise(chance, 50)).subarray(0, 5)])
      : upgrade().subarray(0, 40),
  )
  return socket
}

function open(url: string): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {
    // 'close' follows.
  })
  return socket.resume()
}
