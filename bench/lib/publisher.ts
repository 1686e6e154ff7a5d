/** Publishes over keep-alive HTTP connections with requests that were prepared as bytes: it shares the receivers' core. */
import { connect, type Socket } from 'node:net'
import type { Running } from './contestant.ts'
import { until } from './turns.ts'

const CHUNK = Buffer.allocUnsafe(64 * 1024)
const GREETINGS = 5000
/** A busy machine takes its time. */
export const GREETED_MS = 60_000

/** Where to publish, and whether a connection may be used again. */
export type Door = Pick<Running, 'apiPort' | 'keepsAlive'>

class Caller {
  readonly #door: Door
  readonly #answered: (caller: Caller) => void
  readonly #fail: (error: Error) => void
  #socket: Socket
  #used = false
  #asked = false
  #answer = ''

  constructor(door: Door, answered: (caller: Caller) => void, fail: (error: Error) => void) {
    this.#door = door
    this.#answered = answered
    this.#fail = fail
    this.#socket = this.#connect()
  }

  call(request: Buffer): void {
    if (this.#used && !this.#door.keepsAlive) {
      this.close()
      this.#socket = this.#connect()
    }
    this.#used = true
    this.#asked = true
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.resetAndDestroy()
  }

  #connect(): Socket {
    return connect({
      port: this.#door.apiPort,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: CHUNK,
        callback: length => {
          this.#read(CHUNK.toString('latin1', 0, length))
          return true
        },
      },
    })
      .on('error', this.#fail)
      .on('close', () => {
        if (this.#door.keepsAlive || this.#asked) this.#fail(new Error('the server closed a publisher connection'))
      })
  }

  #read(text: string): void {
    this.#answer += text
    const head = this.#answer.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.#answer)?.[1] ?? Number.NaN)
    if (this.#answer.length < head + 4 + length) return
    const answer = this.#answer
    this.#answer = ''
    this.#asked = false
    if (answer.startsWith('HTTP/1.1 200')) this.#answered(this)
    else this.#fail(new Error(`a publish was refused: ${answer}`))
  }
}

export class Publisher {
  answered = 0
  fault: Error | undefined
  readonly #callers: Caller[] = []
  readonly #free: Caller[] = []
  readonly #waiting: Buffer[] = []
  #refill: (() => Buffer) | undefined

  private constructor(door: Door, connections: number) {
    for (let i = 0; i < connections; i++) {
      const caller = new Caller(
        door,
        free => this.#onAnswer(free),
        error => {
          this.fault ??= error
        },
      )
      this.#callers.push(caller)
      this.#free.push(caller)
    }
  }

  /**
   * Opens connections and greets the server, at least once on each, with requests that cause little work: Node accepts
   * one connection per round of its event loop, so under load it would take seconds until all of them count.
   */
  static async open(door: Door, connections: number, greeting: Buffer, greetings = connections): Promise<Publisher> {
    const publisher = new Publisher(door, connections)
    publisher.saturate(connections, () => greeting)
    await until(
      'the server was greeted',
      () => publisher.answered >= greetings || publisher.fault !== undefined,
      GREETED_MS,
    )
    publisher.pause()
    await publisher.idle()
    publisher.answered = 0
    return publisher
  }

  /**
   * A server in JavaScript is slow until its code is compiled, which at 100 publishes a second would take longer than
   * we measure: this makes it work for a moment.
   */
  static async warm(door: Door, greeting: Buffer): Promise<void> {
    const publisher = await Publisher.open(door, 1, greeting, GREETINGS)
    publisher.close()
  }

  /** Requests that were handed over and are not answered yet. */
  get open(): number {
    return this.#waiting.length + this.#callers.length - this.#free.length
  }

  /** Open loop: sends when a connection is free; until then the request waits, and its time runs. */
  publish(request: Buffer): void {
    const caller = this.#free.pop()
    if (caller === undefined) this.#waiting.push(request)
    else caller.call(request)
  }

  /** Closed loop: keeps this many requests in flight until `pause`. */
  saturate(inFlight: number, next: () => Buffer): void {
    this.#refill = next
    for (let i = 0; i < inFlight; i++) this.publish(next())
  }

  pause(): void {
    this.#refill = undefined
  }

  /** Waits until all that was handed over is answered. */
  async idle(): Promise<void> {
    await until('every publish was answered', () => this.open === 0 || this.fault !== undefined)
    if (this.fault !== undefined) throw this.fault
  }

  close(): void {
    for (const caller of this.#callers) caller.close()
  }

  #onAnswer(caller: Caller): void {
    this.answered += 1
    const request = this.#waiting.shift() ?? this.#refill?.()
    if (request === undefined) this.#free.push(caller)
    else caller.call(request)
  }
}
