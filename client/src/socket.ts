import { RelayError, refusal } from './errors.ts'
import { parseFrame, type RelayFrame } from './frames.ts'
import { Timers } from './timers.ts'

const PROTOCOL = 'throughline.v1'
const ANSWER_MS = 10_000
const OPEN_MS = 10_000
// Two heartbeats without a frame, and some time on the way.
const SILENT_HEARTBEATS = 2.5
// After a sleep timers go on where they stopped: with short steps a dead link is noticed soon after.
const LOOK_MS = 5000
const LOST = 1006

export interface SocketOptions {
  readonly WebSocket: typeof WebSocket
  readonly url: string
  readonly onopen: () => void
  /** Is given every sound frame, before the promise of its request settles. */
  readonly onframe: (frame: RelayFrame) => void
  /** Is called once, at the end, unless the end came by `close`. */
  readonly onclose: (code: number, reason: string) => void
  readonly onerror: (error: RelayError) => void
}

/** A frame for the relay that gets its `id` here. */
export type Ask = { readonly op: string } & Readonly<Record<string, unknown>>

interface Request {
  readonly resolve: (frame: RelayFrame) => void
  readonly reject: (error: RelayError) => void
}

/** One WebSocket: frames in and out, answers by their id, and the silence that tells a dead link. */
export class Socket {
  readonly #options: SocketOptions
  readonly #timers = new Timers()
  readonly #requests = new Map<number, Request>()
  readonly #socket: WebSocket | undefined
  #lastId = 0
  #heard = Date.now()
  #silenceMs = OPEN_MS
  #isOver = false

  constructor(options: SocketOptions) {
    this.#options = options
    try {
      const socket = new options.WebSocket(options.url, PROTOCOL)
      socket.onopen = () => {
        this.#heard = Date.now()
        options.onopen()
      }
      socket.onmessage = ({ data }) => this.#receive(data)
      socket.onclose = ({ code, reason }) => this.#end(code, reason)
      socket.onerror = () => {} // `close` follows
      this.#socket = socket
    } catch (error) {
      // Told later, as everything else: nobody expects it before the constructor has returned.
      queueMicrotask(() => this.#end(LOST, String(error)))
    }
    this.#look()
  }

  /** Milliseconds since anything was heard. */
  get silentMs(): number {
    return Date.now() - this.#heard
  }

  set heartbeat(seconds: number) {
    this.#silenceMs = Math.max(1, seconds) * 1000 * SILENT_HEARTBEATS
  }

  send(frame: object): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame))
  }

  /** Resolves with the answer; rejects with its error, `timeout`, or `closed` when the socket ends first. */
  request({ op, ...fields }: Ask): Promise<RelayFrame> {
    const id = ++this.#lastId
    // op and id first: docs/protocol.md, Limits.
    this.send({ op, id, ...fields })
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject })
      this.#timers.set('answer' + id, ANSWER_MS, () =>
        this.#settle(id)?.reject(new RelayError(refusal('timeout', 'the relay has not answered ' + op))),
      )
    })
  }

  /** Ends it without a word to `onclose`. */
  close(): void {
    this.#end()
  }

  #receive(data: unknown): void {
    if (this.#isOver) return
    this.#heard = Date.now()
    const frame = parseFrame(data)
    if (!frame) return this.#options.onerror(new RelayError(refusal('bad_frame', 'the relay sent what is no frame')))
    const request = typeof frame.id === 'number' && frame.op !== 'event' ? this.#settle(frame.id) : undefined
    this.#options.onframe(frame)
    if (frame.op === 'error') request?.reject(new RelayError(frame))
    else request?.resolve(frame)
  }

  #settle(id: number): Request | undefined {
    const request = this.#requests.get(id)
    this.#requests.delete(id)
    this.#timers.clear('answer' + id)
    return request
  }

  #look(): void {
    const left = this.#silenceMs - this.silentMs
    if (left <= 0) this.#end(LOST, 'nothing was heard')
    else this.#timers.set('look', Math.min(left, LOOK_MS), () => this.#look())
  }

  #end(code?: number, reason = ''): void {
    if (this.#isOver) return
    this.#isOver = true
    const socket = this.#socket as (WebSocket & { terminate?: () => void }) | undefined
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      // Where one can, a dead link is not waited for: in Node it would keep the process.
      if (code === LOST && socket.terminate) socket.terminate()
      else socket.close()
    }
    this.#timers.clearAll()
    for (const id of [...this.#requests.keys()])
      this.#settle(id)?.reject(new RelayError(refusal('closed', 'the connection ended')))
    if (code !== undefined) this.#options.onclose(code, reason)
  }
}
