import { WebSocket } from 'ws'
import type { Tally } from './tally.ts'

interface Frame {
  readonly op: string
  readonly connection?: string
  readonly code?: string
  readonly type?: string
  readonly receipt?: string
}

/** One WebSocket of a user. It goes by what it sent, not by what was answered, so it also asks for what is not there. */
export class Tab {
  readonly user: string
  readonly threads = new Set<string>()
  connection: string | undefined
  receipts: string[] = []
  ended = false
  readonly #socket: WebSocket
  #id = 0

  /** `greeting` is sent as soon as the socket is open. */
  constructor(port: number, user: string, tally: Tally, greeting?: object) {
    this.user = user
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, { perMessageDeflate: false })
    this.#socket.on('open', () => {
      if (greeting !== undefined) this.tell(greeting)
    })
    this.#socket.on('message', (bytes: Buffer) => {
      const { op, connection, code, type, receipt } = JSON.parse(bytes.toString()) as Frame
      tally.add(`got ${op} ${code ?? type ?? ''}`.trimEnd())
      if (op === 'connected') this.connection = connection
      if (receipt !== undefined) this.receipts.push(receipt)
    })
    this.#socket.on('close', code => {
      this.ended = true
      tally.add(`closed ${code}`)
    })
    // 'close' follows.
    this.#socket.on('error', () => {})
  }

  /** Sends a frame, or text as it is. What comes too early or too late is dropped. */
  tell(frame: object | string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return
    this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify({ id: this.#id++, ...frame }))
  }

  /** Stops reading, for good. */
  fallSilent(): void {
    this.#socket.pause()
  }

  close(): void {
    this.#socket.close()
  }

  terminate(): void {
    this.#socket.terminate()
  }
}
