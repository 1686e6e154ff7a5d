/**
 * `node dist/bench/presence.js`: what presence costs at rest, and what clients are sent while many come (DESIGN §9, issue
 * "who is here"). Counts, no times; see README.md.
 */
import { WebSocket } from 'ws'
import { end, type Running } from './lib/contestant.ts'
import { startRedis } from './lib/processes.ts'
import type { Receiver } from './lib/receiver.ts'
import { sleep, until } from './lib/turns.ts'
import { close, open } from './load/crowd.ts'
import { throughline } from './peers/throughline.ts'
import { execFileSync } from 'node:child_process'

const SIZES = [100, 10_000]
const REST_SECONDS = 30
const JOINERS = 10_000
const JOIN_SECONDS = 10
const BATCH = 200

const { child: redis, address } = await startRedis()
const port = new URL(address).port

/** Commands that Redis has worked on, scripts' own calls not counted. */
function commands(): number {
  const stats = execFileSync('redis-cli', ['-p', port, 'INFO', 'stats'], { encoding: 'utf8' })
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1])
}

async function atRest(size: number): Promise<void> {
  const server = await throughline.start(address)
  const crowd = await open(server, { payload: 0 }, [0, size], user => [`t${user % 100}`, `u${user % 50}`])
  await sleep(5000)
  const before = commands()
  await sleep(REST_SECONDS * 1000)
  const perMinute = ((commands() - before) * 60) / REST_SECONDS
  console.log(`${size} connections at rest on two nodes: ${Math.round(perMinute)} Redis commands a minute`)
  close(crowd)
  await end(server)
}

/** Counts what one who looks at the thread is sent while everybody comes. */
class Onlooker {
  readonly #times: number[] = []
  #bytes = 0
  count = 0

  static async open(server: Running, user: number, thread: string): Promise<Onlooker> {
    const onlooker = new Onlooker()
    const socket = new WebSocket(`ws://127.0.0.1:${server.socketPort}/v1/ws`)
    const [connect] = server.joining(user, [thread])
    socket.on('open', () => {
      socket.send(String(connect))
      socket.send(JSON.stringify({ op: 'subscribe', threads: [thread], presence: true }))
    })
    socket.on('message', (data: Buffer) => onlooker.#take(data))
    await until('the onlooker is there', () => onlooker.count > 0)
    return onlooker
  }

  /** The most frames in any second. */
  get worst(): number {
    return Math.max(
      ...this.#times.map(time => this.#times.filter(other => other >= time && other < time + 1000).length),
    )
  }

  get frames(): string {
    return `${this.#times.length} frames, ${Math.round(this.#bytes / 1024)} KiB`
  }

  #take(data: Buffer): void {
    const frame = JSON.parse(data.toString()) as {
      op: string
      count?: number
      presence?: Record<string, { count: number }>
    }
    if (frame.op === 'subscribed') this.count = Object.values(frame.presence ?? {})[0]?.count ?? 0
    if (frame.op !== 'presence') return
    this.#times.push(performance.now())
    this.#bytes += data.length
    this.count = frame.count ?? 0
  }
}

async function many(): Promise<void> {
  const server = await throughline.start(address)
  const onlooker = await Onlooker.open(server, JOINERS, 'crowd')
  const crowd: Receiver[] = []
  const start = performance.now()
  for (let user = 0; user < JOINERS; user += BATCH) {
    crowd.push(...(await open(server, { payload: 0 }, [user, user + BATCH], () => ['crowd'])))
    await sleep(Math.max(0, start + ((user + BATCH) / JOINERS) * JOIN_SECONDS * 1000 - performance.now()))
  }
  const took = (performance.now() - start) / 1000
  await until('the onlooker has heard of all', () => onlooker.count === JOINERS + 1)
  console.log(
    `${JOINERS} users join one thread in ${took.toFixed(1)} s: a member is sent ${onlooker.frames}, at most ${onlooker.worst} frames in a second`,
  )
  close(crowd)
  await end(server)
}

for (const size of SIZES) await atRest(size)
await many()
redis.kill()
process.exit()
