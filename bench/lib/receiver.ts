/**
 * A WebSocket client that can take in a gigabyte a second. All sockets read into one buffer, frames are counted and not
 * parsed: of each chunk only the first and the last header are looked at, the rest is arithmetic, since all
 * events of a run have the same size. A chunk that does not fit (a ping between events) is walked frame by frame.
 */
import { connect, type Socket } from 'node:net'
import type { Running, Turn } from './contestant.ts'

const CHUNK = Buffer.allocUnsafe(256 * 1024)
const MASK = [0x5a, 0x17, 0xc3, 0x68] as const
const PONG = 0xa
/** An event in any of the contestants' languages. */
const EVENT = /^(\{"op":"event"|\{"event":"(?!pusher)|42\["message")/

const HANDSHAKE =
  ' HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

/** Frames of this many bytes of payload are events, with 0 none are; `onEvent`, where given, sees each of them. */
export interface Expected {
  readonly payload: number
  readonly onEvent?: (bytes: Buffer, start: number, end: number) => void
}

export class Receiver {
  events = 0
  readonly #socket: Socket
  readonly #expected: Expected
  readonly #frame: number
  readonly #fast: boolean
  /** Bytes of the event under way that are still to come. */
  #skip = 0
  /** The start of a frame whose size is not known yet, or that is not an event. */
  #carry = Buffer.alloc(0)
  #upgraded = false
  #wake: (() => void) | undefined
  readonly #answers: string[] = []
  readonly #ping: Running['ping']
  fault: Error | undefined

  private constructor({ socketPort: port, ping }: Running, expected: Expected) {
    this.#ping = ping
    this.#expected = expected
    this.#frame = expected.payload + headerLength(expected.payload)
    this.#fast = expected.onEvent === undefined
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: CHUNK,
        callback: length => {
          this.#read(CHUNK, length)
          return true
        },
      },
    })
    this.#socket.on('error', error => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('the server closed a socket')))
  }

  /** Opens a socket and has the given conversation: each turn is taken when the one before was answered. */
  static async open(server: Running, expected: Expected, turns: readonly Turn[]): Promise<Receiver> {
    const receiver = new Receiver(server, expected)
    receiver.#socket.write(`GET ${server.path}${HANDSHAKE}`)
    await receiver.#until(() => receiver.#upgraded)
    let said = ''
    for (const turn of turns) {
      const text = typeof turn === 'string' ? turn : turn(said)
      if (text !== '') receiver.write(frameOfText(text))
      said = await receiver.#answered(server)
    }
    return receiver
  }

  /** Opens a socket and takes all turns in one write, none of which needs the answer to another. */
  static async openAtOnce(server: Running, expected: Expected, turns: readonly Turn[]): Promise<Receiver> {
    const receiver = new Receiver(server, expected)
    receiver.#socket.write(`GET ${server.path}${HANDSHAKE}`)
    await receiver.#until(() => receiver.#upgraded)
    receiver.write(Buffer.concat(turns.map(turn => frameOfText(typeof turn === 'string' ? turn : turn('')))))
    for (const _ of turns) await receiver.#answered(server)
    return receiver
  }

  /** Returns the next text that is neither an event nor a heartbeat. */
  async next(): Promise<string> {
    await this.#until(() => this.#answers.length > 0)
    return this.#answers.shift() ?? ''
  }

  /** Sends frames that are ready. */
  write(frames: Buffer): void {
    this.#socket.write(frames)
  }

  /** Leaves what comes to the kernel until `resume`: then the load client costs nothing but what it sends. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.resetAndDestroy()
  }

  async #answered(server: Running): Promise<string> {
    const said = await this.next()
    if (!server.answer.test(said)) throw new Error(`unexpected answer: ${said.slice(0, 200)}`)
    return said
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.fault !== undefined) throw this.fault
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #fail(error: Error): void {
    this.fault ??= error
    this.#wake?.()
  }

  #read(bytes: Buffer, length: number): void {
    if (!this.#upgraded) return this.#upgrade(bytes.subarray(0, length))
    let at = this.#skip
    if (at > 0) {
      if (length < at) {
        this.#skip -= length
        return
      }
      this.#skip = 0
      this.events += 1
    }
    if (this.#carry.length > 0) {
      bytes = Buffer.concat([this.#carry, bytes.subarray(at, length)])
      at = 0
      length = bytes.length
      this.#carry = Buffer.alloc(0)
    }
    if (this.#fast) at = this.#leap(bytes, at, length)
    this.#walk(bytes, at, length)
  }

  /** Counts the whole events of a chunk at once, if nothing else is between the first and the last of them. */
  #leap(bytes: Buffer, at: number, length: number): number {
    const whole = Math.floor((length - at) / this.#frame)
    const end = at + whole * this.#frame
    if (whole === 0 || !this.#isEvent(bytes, at) || !this.#isEvent(bytes, end - this.#frame)) return at
    this.events += whole
    return end
  }

  #walk(bytes: Buffer, at: number, length: number): void {
    while (at < length) {
      if (at + 4 <= length && this.#isEvent(bytes, at)) {
        const end = at + this.#frame
        if (end <= length) {
          this.events += 1
          this.#expected.onEvent?.(bytes, end - this.#expected.payload, end)
        } else if (this.#fast) {
          this.#skip = end - length
          return
        } else break
        at = end
        continue
      }
      const end = this.#other(bytes, at, length)
      if (end === undefined) break
      at = end
    }
    if (at < length) this.#carry = Buffer.from(bytes.subarray(at, length))
  }

  #isEvent(bytes: Buffer, at: number): boolean {
    const { payload } = this.#expected
    if (bytes[at] !== 0x81 || payload === 0) return false
    if (payload < 126) return bytes[at + 1] === payload
    return bytes[at + 1] === 126 && bytes[at + 2] === payload >> 8 && bytes[at + 3] === (payload & 0xff)
  }

  /** Takes a frame that is not an event; returns its end, or nothing when it is not all there. */
  #other(bytes: Buffer, at: number, length: number): number | undefined {
    if (at + 4 > length && at + 2 + (bytes[at + 1] ?? 126) > length) return undefined
    const short = bytes[at + 1] ?? 0
    const size = short < 126 ? short : bytes.readUInt16BE(at + 2)
    const start = at + headerLength(size)
    const end = start + size
    if (end > length) return undefined
    const opcode = (bytes[at] ?? 0) & 0xf
    const text = bytes.toString('utf8', start, end)
    if (opcode === 0x9) this.#socket.write(masked(PONG, bytes.subarray(start, end)))
    else if (opcode !== 0x1) this.#fail(new Error(`the server closed a socket: ${text.slice(2)}`))
    else if (this.#ping !== undefined && text.startsWith(this.#ping.is)) this.#pong()
    else if (this.#expected.payload > 0 && EVENT.test(text)) this.#fail(new Error(`an event of another size: ${text}`))
    else this.#answers.push(text)
    this.#wake?.()
    return end
  }

  #pong(): void {
    if (this.#ping?.pong !== undefined) this.write(frameOfText(this.#ping.pong))
  }

  #upgrade(bytes: Buffer): void {
    this.#carry = Buffer.concat([this.#carry, bytes])
    const end = this.#carry.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#carry.toString('latin1', 0, end)
    if (!head.startsWith('HTTP/1.1 101 ')) return this.#fail(new Error(`not upgraded: ${head}`))
    const rest = this.#carry.subarray(end + 4)
    this.#carry = Buffer.alloc(0)
    this.#upgraded = true
    this.#wake?.()
    this.#walk(rest, 0, rest.length)
  }
}

/** Returns a client's text frame. */
export function frameOfText(text: string): Buffer {
  return masked(0x1, Buffer.from(text))
}

function headerLength(payload: number): number {
  return payload < 126 ? 2 : 4
}

function masked(opcode: number, payload: Buffer): Buffer {
  const { length } = payload
  const header = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 0xff]
  const body = payload.map((byte, index) => byte ^ (MASK[index & 3] ?? 0))
  return Buffer.concat([Buffer.from([0x80 | opcode, ...header, ...MASK]), body])
}
