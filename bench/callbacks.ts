/**
 * `node dist/bench/callbacks.js`: how many events an origin can be told, what dead origins cost the others, and what arrives
 * after an outage (DESIGN §10, issue "the origin hears back"). See README.md.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket } from 'ws'
import { pinSelf, startRedis } from './lib/processes.ts'
import { sleep, until } from './lib/turns.ts'
import { type Kind, nowMs, Origins, type Report } from './load/origins.ts'
import { sign, startNode, type StartedNode } from './peers/throughline.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'rate,dead,outage' },
    seconds: { type: 'string', default: '30' },
    rate: { type: 'string', default: '2000' },
    /** Of the outage. */
    outage: { type: 'string', default: '60' },
    users: { type: 'string', default: '10000' },
    dead: { type: 'string', default: '50' },
    /** The memory bus instead of Redis. */
    memory: { type: 'boolean', default: false },
  },
})
const SECONDS = Number(values.seconds)
const secret = randomBytes(32)
const folder = mkdtempSync(join(tmpdir(), 'throughline-bench-callbacks-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
pinSelf()

interface Stage {
  readonly node: StartedNode
  readonly origins: Origins
  readonly end: () => Promise<void>
}

/** Starts a Redis, one node, and an origin of each kind. */
async function open(kinds: readonly Kind[], events: readonly string[]): Promise<Stage> {
  const origins = await Origins.start(kinds)
  const keys = [{ kty: 'oct', kid: 'k', alg: 'HS256', k: secret.toString('base64url') }]
  const sites = kinds.map((_, site) => {
    const callback = { url: origins.url(site), events, data: true }
    return [`s${site}`, { keys, origins: [], callback }] as const
  })
  const file = join(folder, 'sites.json')
  writeFileSync(file, JSON.stringify(Object.fromEntries(sites)))
  const redis = values.memory ? undefined : await startRedis()
  const node = await startNode(file, redis?.address ?? 'memory', [], { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' })
  return {
    node,
    origins,
    async end() {
      await node.node.end()
      redis?.child.kill()
      origins.end()
    },
  }
}

/** A client of a site, who sends events with the time in them. */
class Sender {
  readonly #socket: WebSocket
  #id = 0
  sent = 0
  refused = 0
  ready = false

  constructor({ socketPort }: StartedNode, site: number, user: string) {
    const claims = { iss: `s${site}`, aud: 'throughline', sub: user, threads: { 1: ['send'] } }
    this.#socket = new WebSocket(`ws://127.0.0.1:${socketPort}/v1/ws`)
    this.#socket.on('open', () => this.#say({ op: 'connect', token: sign(secret, claims) }))
    this.#socket.on('message', (data: Buffer) => {
      const { op } = JSON.parse(data.toString()) as { op: string }
      if (op === 'connected') this.ready = true
      if (op === 'sent') this.sent++
      if (op === 'error') this.refused++
    })
  }

  send(): void {
    this.#say({ op: 'send', id: ++this.#id, thread: '1', type: 'call.n', data: nowMs() })
  }

  close(): void {
    this.#socket.terminate()
  }

  #say(frame: object): void {
    this.#socket.send(JSON.stringify(frame))
  }
}

async function openSenders(node: StartedNode, sites: readonly number[]): Promise<Sender[]> {
  const senders: Sender[] = []
  for (const [i, site] of sites.entries()) {
    senders.push(new Sender(node, site, `u${i}`))
    if (i % 100 === 99) await until('clients are connected', () => senders.every(({ ready }) => ready))
  }
  await until('clients are connected', () => senders.every(({ ready }) => ready))
  return senders
}

/** Has `rate` events a second sent by turns for so many seconds. */
async function send(senders: readonly Sender[], rate: number, seconds: number): Promise<void> {
  const start = performance.now()
  for (let due = 0; ; ) {
    const elapsed = performance.now() - start
    if (elapsed >= seconds * 1000) return
    for (; due < (elapsed * rate) / 1000; due++) senders[due % senders.length]!.send()
    await sleep(5)
  }
}

interface Queue {
  readonly state: string
  readonly depth: number
}

async function queueOf({ adminPort }: StartedNode, site: number): Promise<Queue> {
  return (await (await fetch(`http://127.0.0.1:${adminPort}/callbacks?site=s${site}`)).json()) as Queue
}

async function idle(node: StartedNode, site: number): Promise<void> {
  while ((await queueOf(node, site)).state !== 'idle') await sleep(100)
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
const round = (ms: number): string => `${Math.round(ms)} ms`
const told = ({ events, requests, p50, p99, most }: Report): string =>
  `${events} events in ${requests} requests; from client to origin p50 ${round(p50)}, p99 ${round(p99)}, at most ${round(most)}`

async function rate(): Promise<void> {
  const perSecond = Number(values.rate)
  const { node, origins, end } = await open(['well'], ['call.*'])
  const senders = await openSenders(
    node,
    Array.from({ length: Math.ceil(perSecond / 20) }, () => 0),
  )
  await send(senders, perSecond, 3)
  await idle(node, 0)
  await origins.tell('clear')
  const before = { sent: sum(senders.map(({ sent }) => sent)), cpu: node.node.cpuSeconds() }
  const depths: number[] = []
  const watch = setInterval(() => void queueOf(node, 0).then(({ depth }) => depths.push(depth)), 1000)
  await send(senders, perSecond, SECONDS)
  clearInterval(watch)
  const { depth } = await queueOf(node, 0)
  await idle(node, 0)
  const sent = sum(senders.map(({ sent }) => sent)) - before.sent
  const refused = sum(senders.map(({ refused }) => refused))
  const report = await origins.report()
  console.log(`${perSecond} events/s for one origin that answers after 20 ms, for ${SECONDS} s:`)
  console.log(`  ${sent} published, ${refused} refused; arrived ${told(report)}; ${report.repeats} again`)
  const half = Math.floor(depths.length / 2)
  const mean = (part: number[]): number => Math.round(sum(part) / part.length)
  console.log(
    `  queue: ${depths[0]} at the start, ${depth} at the end, at most ${Math.max(...depths)}; mean of the first half ${mean(depths.slice(0, half))}, of the second ${mean(depths.slice(half))}`,
  )
  console.log(`  node: ${((node.node.cpuSeconds() - before.cpu) / SECONDS).toFixed(2)} of a core`)
  for (const sender of senders) sender.close()
  await end()
}

const SITES = 1000
/** Seconds between a site's events. */
const EVERY = 2

async function dead(): Promise<void> {
  const ways = ['refusing', 'silent', 'slow'] as const
  const ill = Number(values.dead)
  const kinds = Array.from({ length: SITES }, (_, site): Kind => (site < ill ? ways[site % ways.length]! : 'well'))
  const { node, origins, end } = await open(kinds, ['call.*'])
  const all = await openSenders(
    node,
    kinds.map((_, site) => site),
  )
  const well = all.slice(ill)
  await send(well, well.length / EVERY, 5)
  const measure = async (what: string, senders: readonly Sender[]): Promise<void> => {
    await sleep(2000)
    await origins.tell('clear')
    const cpu = node.node.cpuSeconds()
    await send(senders, senders.length / EVERY, SECONDS)
    const used = (node.node.cpuSeconds() - cpu) / SECONDS
    await sleep(2000)
    console.log(`  ${what}: ${told(await origins.report())}; node ${used.toFixed(2)} of a core`)
  }
  console.log(`${SITES} sites with an event every ${EVERY} s each, for ${SECONDS} s by turns; of those that are well:`)
  for (let turn = 0; turn < 2; turn++) {
    await measure(`without the ${ill} dead ones`, well)
    await measure(`with them`, all)
  }
  for (const sender of all) sender.close()
  await end()
}

/** Somebody who comes and goes: with a user and a thread of a hundred. */
class Visitor {
  readonly #node: StartedNode
  readonly name: string
  readonly thread: string
  #socket: WebSocket | undefined

  constructor(node: StartedNode, number: number) {
    this.#node = node
    this.name = `u${number}`
    this.thread = `t${number % 100}`
  }

  get here(): boolean {
    return this.#socket !== undefined
  }

  turn(): void {
    if (this.#socket !== undefined) {
      this.#socket.terminate()
      this.#socket = undefined
      return
    }
    const socket = new WebSocket(`ws://127.0.0.1:${this.#node.socketPort}/v1/ws`)
    this.#socket = socket
    const claims = { iss: 's0', aud: 'throughline', sub: this.name, threads: { [this.thread]: ['read'] } }
    socket.on('error', () => {})
    socket.on('open', () => {
      socket.send(JSON.stringify({ op: 'connect', token: sign(secret, claims) }))
      socket.send(JSON.stringify({ op: 'subscribe', threads: [this.thread] }))
    })
  }
}

async function outage(): Promise<void> {
  const seconds = Number(values.outage)
  const users = Number(values.users)
  const { node, origins, end } = await open(['well'], ['user.*', 'thread.*'])
  const visitors = Array.from({ length: users }, (_, i) => new Visitor(node, i))
  for (const [i, visitor] of visitors.entries()) {
    if (i % 2 === 0) visitor.turn()
    if (i % 200 === 199) await sleep(100)
  }
  await sleep(3000)
  await idle(node, 0)
  const before = (await origins.report()).states
  await origins.tell('clear')
  await origins.tell('down')
  // Each comes and goes at least four times: every 12 s at the most often, so that the grace of an hour's visitors is met too.
  const perSecond = Math.min(400, (users * Math.max(4, seconds / 600)) / seconds)
  const start = performance.now()
  let turns = 0
  for (; performance.now() - start < seconds * 1000; await sleep(20)) {
    for (; turns < ((performance.now() - start) / 1000) * perSecond; turns++) {
      visitors[Math.floor(Math.random() * users)]!.turn()
    }
  }
  // The last to go are online for 10 s more.
  await sleep(15_000)
  const { depth } = await queueOf(node, 0)
  await origins.tell('up')
  await fetch(`http://127.0.0.1:${node.adminPort}/callbacks/retry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"site":"s0"}',
  })
  await sleep(1000)
  await idle(node, 0)
  const { states, requests } = await origins.report()
  const truth = new Map<string, string>()
  for (const { name, here, thread } of visitors) {
    truth.set(`user ${name}`, here ? 'online' : 'offline')
    if (here) truth.set(`thread ${thread}`, 'occupied')
    else if (!truth.has(`thread ${thread}`)) truth.set(`thread ${thread}`, 'vacated')
  }
  const after = Object.entries(states)
  const twice = after.filter(([, told]) => told.length > 1).length
  const untrue = after.filter(([name, told]) => told.at(-1) !== truth.get(name)).length
  const wrong = [...truth].filter(([name, state]) => {
    const believed = states[name]?.at(-1) ?? before[name]?.at(-1)
    return believed === undefined ? /online|occupied/.test(state) : believed !== state
  })
  console.log(`The origin was down for ${seconds} s, while ${users} users came and went, ${turns} times in all:`)
  console.log(`  ${depth} states waited, and came in ${requests} requests`)
  console.log(
    `  more than one state of ${twice}, an untrue one of ${untrue}; the origin is wrong about ${wrong.length} of ${truth.size}`,
  )
  if (twice + untrue + wrong.length > 0) process.exitCode = 1
  for (const visitor of visitors) if (visitor.here) visitor.turn()
  await end()
}

const scenarios: Record<string, () => Promise<void>> = { rate, dead, outage }
for (const name of values.only.split(',')) {
  const scenario = scenarios[name]
  if (scenario === undefined) throw new Error(`--only knows ${Object.keys(scenarios).join(', ')}`)
  await scenario()
}
process.exit()
