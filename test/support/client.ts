import { WebSocket } from 'ws'
import type { Relay, Teardown } from './relay.ts'
import { until } from './until.ts'

/** A frame from the relay; a test looks at whatever members it has. */
export type Frame = Record<string, any> & { op: string }

/** What ws takes. */
export type ClientOptions = Pick<WebSocket.ClientOptions, 'origin' | 'ca' | 'headers' | 'localAddress'>

/** A client that keeps every frame it got, as bytes and as an object. */
export class Client {
  readonly frames: Frame[] = []
  readonly raw: string[] = []
  closed: { code: number; reason: string } | undefined
  readonly socket: WebSocket
  #nextId = 1

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => {
      this.raw.push(data.toString())
      this.frames.push(JSON.parse(data.toString()) as Frame)
    })
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
    socket.on('error', () => {
      // 'close' follows, and a test looks at that.
    })
  }

  static async open(t: Teardown, relay: Pick<Relay, 'ws'>, options: ClientOptions = {}): Promise<Client> {
    const socket = new WebSocket(relay.ws, ['throughline.v1'], { ...options, perMessageDeflate: false })
    t.teardown(() => socket.terminate())
    const client = new Client(socket)
    await until(() => socket.readyState === WebSocket.OPEN, { what: () => 'an open socket' })
    return client
  }

  /** Opens a socket and authenticates it. */
  static async connect(t: Teardown, relay: Relay, token: string, more: object = {}): Promise<Client> {
    const client = await Client.open(t, relay)
    await client.ask('connect', { token, ...more })
    return client
  }

  send(frame: object | string | Buffer): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame))
  }

  /** Sends an op and returns its answer, be it an error. */
  async ask(op: string, fields: object = {}): Promise<Frame> {
    const id = this.#nextId++
    this.send({ op, id, ...fields })
    return this.expect(frame => frame['id'] === id && frame.op !== 'event', `the answer to ${op}`)
  }

  async subscribe(...threads: string[]): Promise<Frame> {
    return this.ask('subscribe', { threads })
  }

  /** Waits for a frame, one that came already included. */
  async expect(matches: (frame: Frame) => boolean, what: string): Promise<Frame> {
    await until(() => this.frames.some(matches), {
      what: () => `${what}; came: ${this.raw.slice(-5).join(' ')} ${JSON.stringify(this.closed)}`,
    })
    return this.frames.find(matches)!
  }

  async expectClose(): Promise<{ code: number; reason: string }> {
    await until(() => this.closed !== undefined, { what: () => `a close; came: ${this.raw.slice(-5).join(' ')}` })
    return this.closed!
  }

  events(): Frame[] {
    return this.frames.filter(frame => frame.op === 'event')
  }
}
