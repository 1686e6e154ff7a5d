/** Calls of the API as a site's origin makes them, right ones and wrong ones. */
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { sign } from '../peers/throughline.ts'
import { until } from '../lib/turns.ts'
import type { Tally } from './tally.ts'

const AT_ONCE = 32

export interface Call {
  readonly method?: string
  readonly body?: unknown
  readonly token?: string
  readonly type?: string
}

export class Origin {
  readonly #token: string
  readonly #tally: Tally
  readonly #agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  readonly #halves = new Set<Socket>()
  #open = 0

  constructor(secret: Buffer, tally: Tally) {
    this.#token = sign(secret, { aud: 'throughline:api' })
    this.#tally = tally
  }

  /** Makes a call and counts its answer. A string body is sent as it is. More than some are not made at a time. */
  call(
    port: number,
    path: string,
    { method = 'POST', body, token = this.#token, type = 'application/json' }: Call,
  ): void {
    if (this.#open >= AT_ONCE) return this.#tally.add('call left out: too many wait')
    this.#open++
    const headers = { authorization: `Bearer ${token}`, 'content-type': type }
    const call = request({ port, host: '127.0.0.1', path, method, headers, agent: this.#agent, timeout: 10_000 })
    call.on('response', response => {
      response.resume()
      this.#tally.add(`answered ${response.statusCode}`)
    })
    call.on('error', () => this.#tally.add('call without an answer'))
    call.on('timeout', () => call.destroy())
    call.on('close', () => {
      this.#open--
    })
    call.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

  /** Begins a call; ends the socket in the middle of it, or leaves that to the relay. */
  half(port: number, ends: boolean): void {
    const socket = connect(port, '127.0.0.1')
    this.#halves.add(socket)
    // What comes is of no interest, nor is how it ends.
    socket.on('error', () => {}).on('close', () => this.#halves.delete(socket))
    socket.resume()
    const head = `POST /v1/publish HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer ${this.#token}\r\n`
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"to":`, () => {
      if (ends) socket.destroy()
    })
  }

  /** Waits for the calls under way and gives up all connections. */
  async leave(): Promise<void> {
    await until('all calls are answered', () => this.#open === 0)
    this.#agent.destroy()
    for (const socket of this.#halves) socket.destroy()
  }
}
