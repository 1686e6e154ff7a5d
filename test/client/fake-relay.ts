import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Teardown } from '../support/relay.ts'

type Frame = Record<string, unknown> & { op: string; id?: number }

/** Says what a test wants it to say: what a real relay never says, or only after a minute. */
export class FakeRelay {
  readonly #server: WebSocketServer
  /** The frames of clients, in order. */
  readonly frames: Frame[] = []
  /** When sockets were opened. */
  readonly opened: number[] = []
  heartbeat = 25
  /** Where every chain stands. */
  head = 1
  /** Seconds for which tokens are good. */
  expiresIn = 3600
  /** Is asked first; answers by itself if it returns true. */
  onframe: (frame: Frame, socket: WebSocket) => boolean = () => false

  private constructor(server: WebSocketServer) {
    this.#server = server
    server.on('connection', socket => {
      this.opened.push(Date.now())
      socket.on('message', data => {
        const frame = JSON.parse((data as Buffer).toString()) as Frame
        this.frames.push(frame)
        if (!this.onframe(frame, socket)) this.#answer(frame, socket)
      })
    })
  }

  static async open(t: Teardown): Promise<FakeRelay> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise(resolve => {
      server.once('listening', resolve)
    })
    t.teardown(() => {
      for (const socket of server.clients) socket.terminate()
      server.close()
    })
    return new FakeRelay(server)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** How many sockets are open. */
  get sockets(): number {
    return this.#server.clients.size
  }

  /** Sends to all. */
  say(...frames: (object | string)[]): void {
    for (const socket of this.#server.clients)
      for (const frame of frames) socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  hangUp(code: number, reason = ''): void {
    for (const socket of this.#server.clients) socket.close(code, reason)
  }

  #answer({ op, id, threads = [] }: Frame & { threads?: string[] }, socket: WebSocket): void {
    const say = (frame: object): void => socket.send(JSON.stringify({ id, ...frame }))
    const chain = { head: this.head, state: 'current' }
    if (op === 'connect') {
      const expires = Math.floor(Date.now() / 1000) + this.expiresIn
      const { heartbeat } = this
      const chains = { user: chain, site: chain }
      say({
        op: 'connected',
        connection: `c${this.opened.length}`,
        user: '7',
        site: 'acme',
        expires,
        heartbeat,
        chains,
      })
    } else if (op === 'subscribe') {
      say({ op: 'subscribed', chains: Object.fromEntries(threads.map(thread => [`thread:${thread}`, chain])) })
    } else if (op === 'refresh') {
      say({ op: 'refreshed', expires: Math.floor(Date.now() / 1000) + this.expiresIn })
    } else if (op === 'unwatch') {
      say({ op: 'online', users: {} })
    } else if (op === 'send') {
      say({ op: 'sent' })
    }
  }
}
