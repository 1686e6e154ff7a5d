/**
 * Redis as a script plays it: servers with a memory each, and a node's links to them, on which every command, answer
 * and message waits until it is let through. The Lua scripts are mirrored here; redis-mirror.test.ts holds the mirror to
 * a real Redis.
 */
import { COMMAND_TIMEOUT, loadScript, type LinkEvents, type RedisLink, type Script } from '../../src/redis/link.ts'

interface Entry {
  readonly value: string | Record<string, string>
  /** Milliseconds since the epoch. */
  readonly until: number
}

type Argument = string | number | Buffer

const WEEK = 604_800_000
const ID_TTL = 300_000
const ERA_TTL = 1_209_600_000
const RECONNECT = 80

let runIds = 0

export class Server {
  readonly runId = `run-${++runIds}`
  readonly lines = new Set<Line>()
  readonly #clock: { readonly now: number }
  /** How far its host's clock is off, in microseconds (CONTRACT 4: hosts differ by 1 s at most). */
  readonly #skew: number
  readonly #store: Map<string, Entry>
  #up = true

  constructor(clock: { readonly now: number }, skew: number, memory: ReadonlyMap<string, Entry> = new Map()) {
    this.#clock = clock
    this.#skew = skew
    this.#store = new Map(memory)
  }

  get up(): boolean {
    return this.#up
  }

  /** What a replica or a snapshot of this moment has. */
  copy(): ReadonlyMap<string, Entry> {
    return new Map(this.#store)
  }

  flush(): void {
    this.#store.clear()
  }

  /** Ends it, and its links with a sign. */
  stop(): void {
    this.#up = false
    for (const line of this.lines) line.cut()
  }

  /** Leaves its links open, but deaf. */
  pause(): void {
    this.#up = false
  }

  resume(): void {
    this.#up = true
  }

  run({ sha }: Script, keys: readonly string[], args: readonly Argument[]): unknown {
    const script = this.#scripts.get(sha)
    if (script === undefined) throw new Error('the scripted Redis does not know this script: mirror it')
    return script(keys, args)
  }

  publish(channel: string, message: Buffer): void {
    for (const line of this.lines) if (line.channels.has(channel)) line.inbox.push({ channel, message })
  }

  readonly #scripts = new Map<string, (keys: readonly string[], args: readonly Argument[]) => unknown>([
    [loadScript('bus/era').sha, (keys, args) => this.#era(keys[0]!, args)],
    [loadScript('bus/heads').sha, (keys, args) => this.#heads(keys, Number(args[0]))],
    [loadScript('bus/publish').sha, (keys, args) => this.#publish(keys, args)],
    [loadScript('bus/gap').sha, keys => this.#gap(keys)],
  ])

  #era(key: string, [runId, newest, callerKnows, wasCutOff]: readonly Argument[]): number {
    const known = this.#get(key) as Record<string, string> | undefined
    let since = known === undefined ? undefined : Number(known['since'])
    const late = wasCutOff === '1' && since !== Number(callerKnows) && since !== undefined && Number(newest) >= since
    if (known?.['run_id'] !== runId || since === undefined || late) {
      since = Math.max(this.#micros(), Number(newest)) + 1_000_000
    }
    this.#set(key, { run_id: String(runId), since: String(since) }, ERA_TTL)
    return since
  }

  #heads(keys: readonly string[], count: number): unknown[] {
    const since = this.#since(keys[0]!)
    return [
      since,
      ...keys.slice(1, count + 1).map(key => this.#head(key, since)),
      ...keys.slice(count + 1).map(() => []),
    ]
  }

  #publish(keys: readonly string[], args: readonly Argument[]): number[] {
    const [, kind, hasId, except, before, after] = args as [string, string, string, string, string, Buffer]
    const since = this.#since(keys[0]!)
    const answers: number[] = []
    for (let i = 1; i < keys.length; i += hasId === '1' ? 3 : 2) {
      const [head, channel, id] = [keys[i]!, keys[i + 1]!, keys[i + 2]]
      const seen = hasId === '1' ? (this.#get(id!) as string | undefined) : undefined
      if (seen !== undefined) {
        answers.push(seen === '0' ? -1 : -Number(seen))
        continue
      }
      let stamp = 0
      let start = before
      if (kind === 'o') {
        const prev = this.#head(head, since)
        stamp = Math.max(this.#micros(), prev + 1)
        this.#set(head, String(stamp), WEEK)
        start = `${before}${stamp},"prev":${prev}`
      }
      if (hasId === '1') this.#set(id!, String(stamp), ID_TTL)
      const prefix = `1${kind}${String(stamp).padStart(16, '0')}${except}${start}`
      this.publish(channel, Buffer.concat([Buffer.from(prefix, 'latin1'), after]))
      answers.push(stamp)
    }
    return answers
  }

  #gap(keys: readonly string[]): number {
    const since = this.#since(keys[0]!)
    for (let i = 1; i < keys.length; i += 2) {
      const stamp = Math.max(this.#micros(), this.#head(keys[i]!, since) + 1)
      this.#set(keys[i]!, String(stamp), WEEK)
      this.publish(keys[i + 1]!, Buffer.from(`1g${String(stamp).padStart(16, '0')}000`))
    }
    return 1
  }

  #since(key: string): number {
    const era = this.#get(key) as Record<string, string> | undefined
    if (era === undefined) throw new Error(`NOERA ${key}`)
    return Number(era['since'])
  }

  #head(key: string, since: number): number {
    return Math.max(Number(this.#get(key) ?? 0), since)
  }

  #micros(): number {
    return this.#clock.now * 1000 + this.#skew
  }

  #get(key: string): Entry['value'] | undefined {
    const entry = this.#store.get(key)
    return entry === undefined || entry.until <= this.#clock.now ? undefined : entry.value
  }

  #set(key: string, value: Entry['value'], ttl: number): void {
    this.#store.set(key, { value, until: this.#clock.now + ttl })
  }
}

interface Order {
  readonly work: (server: Server, line: Line) => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

type Incoming =
  | { readonly channel: string; readonly message: Buffer }
  | { readonly answer: () => void; readonly reject: (error: Error) => void }

/** One connection of a node to a server. What goes either way keeps its order, and waits until `move` lets it through. */
export class Line {
  readonly channels = new Set<string>()
  readonly orders: Order[] = []
  /** On the way to the node. */
  readonly inbox: Incoming[] = []
  readonly #server: Server
  readonly #ended: () => void
  /** Nothing gets through any more, and nobody is told. */
  silent = false
  open = true

  constructor(server: Server, ended: () => void) {
    this.#server = server
    this.#ended = ended
    server.lines.add(this)
  }

  send(work: Order['work']): Promise<unknown> {
    if (!this.open) return Promise.reject(new Error('Connection is closed.'))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('Command timed out')), COMMAND_TIMEOUT)
      const done =
        <T>(end: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          end(value)
        }
      this.orders.push({ work, resolve: done(resolve), reject: done(reject) })
    })
  }

  /** Lets so many orders through to the server, and then so many answers and messages to the node. */
  move(orders: number, incoming: number, deliver: (channel: string, message: Buffer) => void): void {
    if (this.silent || !this.#server.up) return
    for (const { work, resolve, reject } of this.orders.splice(0, orders)) {
      let answer: () => void
      try {
        const value = work(this.#server, this)
        answer = () => resolve(value)
      } catch (error) {
        answer = () => reject(error as Error)
      }
      this.inbox.push({ answer, reject })
    }
    for (const item of this.inbox.splice(0, incoming)) {
      if ('answer' in item) item.answer()
      else deliver(item.channel, item.message)
    }
  }

  /** Ends it with a sign. What the server has done by then stays done, though its answers are lost. */
  cut(): void {
    if (!this.open) return
    this.open = false
    this.#server.lines.delete(this)
    const lost = new Error('Connection is closed.')
    for (const item of [...this.orders.splice(0), ...this.inbox.splice(0)]) if ('reject' in item) item.reject(lost)
    this.#ended()
  }
}

/** A node's link to whichever server is the primary when it connects, as behind Sentinel or a floating address. */
export class ScriptedLink implements RedisLink {
  readonly publishCommand = 'PUBLISH'
  readonly #primary: () => Server
  #events: LinkEvents | undefined
  commands: Line | undefined
  subscriber: Line | undefined
  #closed = false

  constructor(primary: () => Server) {
    this.#primary = primary
    this.#connectSoon()
  }

  get ready(): boolean {
    return this.commands !== undefined && this.subscriber !== undefined
  }

  get lines(): Line[] {
    return [this.commands, this.subscriber].filter(line => line !== undefined)
  }

  listen(events: LinkEvents): void {
    this.#events = events
  }

  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#order(server => server.run(script, keys, args))
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.#order(server => server.publish(channel, Buffer.from(message)))
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    if (this.subscriber === undefined) throw new Error('Connection is closed.')
    await this.subscriber.send((_server, line) => channels.forEach(channel => line.channels.add(channel)))
  }

  unsubscribe(channels: readonly string[]): void {
    this.subscriber?.send((_server, line) => channels.forEach(channel => line.channels.delete(channel))).catch(() => {})
  }

  primaryOf(): string {
    return ''
  }

  async runIds(): Promise<ReadonlyMap<string, string>> {
    return new Map([['', (await this.#order(server => server.runId)) as string]])
  }

  reconnect(): void {
    for (const line of this.lines) line.cut()
  }

  close(): void {
    this.#closed = true
    this.reconnect()
  }

  /** Lets everything through, or less: see Line. */
  move(orders = Infinity, incoming = Infinity): void {
    for (const line of this.lines) {
      line.move(orders, incoming, (channel, message) => this.#events?.message(channel, message))
    }
  }

  #order(work: Order['work']): Promise<unknown> {
    return this.commands?.send(work) ?? Promise.reject(new Error('Connection is closed.'))
  }

  #connectSoon(): void {
    if (!this.#closed) setTimeout(() => this.#connect(), RECONNECT)
  }

  #connect(): void {
    if (this.ready || this.#closed) return
    const server = this.#primary()
    if (!server.up) return this.#connectSoon()
    this.commands ??= new Line(server, () => this.#lost('commands'))
    this.subscriber ??= new Line(server, () => this.#lost('subscriber'))
    this.#events?.connected()
  }

  #lost(which: 'commands' | 'subscriber'): void {
    this[which] = undefined
    this.#events?.interrupted(`${which} closed`)
    this.#connectSoon()
  }
}
