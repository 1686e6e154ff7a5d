/**
 * What it costs a node to take events from Redis, by the ways there are: ioredis with Buffers (what the relay does), ioredis
 * with strings, and a reader that does nothing but cut messages out of RESP (the least there is). Redis publishes by a
 * script, so this process does nothing but receive; its processor time is counted. Prints ratios to the least.
 */
import { connect, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { frameOf, dataAt } from './lib/event.ts'
import { startRedis } from './lib/processes.ts'
import { summary } from './lib/statistics.ts'

const CHANNELS = 1000
/** 7 MB: Redis drops a subscriber that is 32 MB behind. */
const MESSAGES = 20_000
const FEED = `for i = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', 'c' .. (i % ${CHANNELS}), ARGV[2]) end`

/** Calls `heard` for each message, with its bytes, and returns how to stop. */
type Way = (address: string, heard: (bytes: number) => void) => Promise<() => void>

const names = Array.from({ length: CHANNELS }, (_, i) => `c${i}`)

const buffers: Way = async (address, heard) => {
  const redis = new Redis(address)
  redis.on('messageBuffer', (channel: Buffer, message: Buffer) =>
    heard(channel.toString('latin1').length && message.length),
  )
  await redis.subscribe(...names)
  return () => redis.disconnect()
}

const strings: Way = async (address, heard) => {
  const redis = new Redis(address)
  redis.on('message', (_channel: string, message: string) => heard(Buffer.from(message).length))
  await redis.subscribe(...names)
  return () => redis.disconnect()
}

const least: Way = async (address, heard) => {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.write(`SUBSCRIBE ${names.join(' ')}\r\n`)
  await subscribed(socket)
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    for (;;) {
      const message = messageAt(rest, at)
      if (message === undefined) break
      heard(message.channel.length && message.bytes.length)
      at = message.end
    }
    rest = rest.subarray(at)
  })
  return () => socket.destroy()
}

async function subscribed(socket: Socket): Promise<void> {
  let text = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk)
    if (text.includes(`:${CHANNELS}\r\n`)) return
  }
}

const CR = 0x0d
/** `*3`, `$7`, `message`, each with its end of line. */
const HEAD = 4 + 4 + 9

function messageAt(bytes: Buffer, start: number): { channel: string; bytes: Buffer; end: number } | undefined {
  const channel = bulkAt(bytes, start + HEAD)
  const message = channel === undefined ? undefined : bulkAt(bytes, channel.end + 2)
  if (channel === undefined || message === undefined || message.end + 2 > bytes.length) return undefined
  return {
    channel: bytes.toString('latin1', channel.start, channel.end),
    bytes: bytes.subarray(message.start, message.end),
    end: message.end + 2,
  }
}

function bulkAt(bytes: Buffer, dollar: number): { start: number; end: number } | undefined {
  let length = 0
  let at = dollar + 1
  for (; at < bytes.length && bytes[at] !== CR; at++) length = length * 10 + bytes[at]! - 0x30
  return at + 2 + length > bytes.length ? undefined : { start: at + 2, end: at + 2 + length }
}

async function measure(way: Way, address: string, frame: string): Promise<number> {
  const feeder = new Redis(address)
  let count = 0
  let done: (() => void) | undefined
  const stop = await way(address, bytes => {
    if (bytes !== frame.length) throw new Error(`a message of ${bytes} bytes`)
    if (++count % MESSAGES === 0) done?.()
  })
  let micros = 0
  // The first time compiles.
  for (let run = 0; run < 2; run++) {
    const all = new Promise<void>(resolve => {
      done = resolve
    })
    const before = process.cpuUsage()
    await feeder.eval(FEED, 0, MESSAGES, frame)
    await all
    const { user, system } = process.cpuUsage(before)
    micros = (user + system) / MESSAGES
  }
  stop()
  feeder.disconnect()
  return micros
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } })
const { child, address } = await startRedis()
const frame = `1o1700000000000001000${frameOf('t10000', dataAt(0))}`
const ways = Object.entries({ 'cut by hand': least, 'ioredis, messageBuffer': buffers, 'ioredis, message': strings })
const ratios = new Map<string, number[]>(ways.map(([name]) => [name, []]))
for (let round = 0; round < Number(values.rounds); round++) {
  let base = 0
  for (const [name, way] of ways) {
    const micros = await measure(way, address, frame)
    if (way === least) base = micros
    ratios.get(name)!.push(micros / base)
  }
}
for (const [name, each] of ratios) {
  const { median, least: fewest, most } = summary(each)
  console.log(`${name}: ${median.toFixed(2)} (${fewest.toFixed(2)}–${most.toFixed(2)})`)
}
await child.end()
