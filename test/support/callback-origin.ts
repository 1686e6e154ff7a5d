import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Teardown } from './relay.ts'

export interface Told {
  readonly id: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly events: readonly { id: string; type: string; at: number; user?: string; thread?: string; data?: unknown }[]
}

/** What a site's own server does with the nth request (1 is the first): answers it, at once or later, or not at all. */
export type Answer = (response: ServerResponse, told: Told, count: number) => void

export const OK: Answer = response => void response.writeHead(204).end()
export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  response =>
    void response.writeHead(code, headers).end()

/** A site's own server, as far as it is called back: a real one, on loopback. */
export class CallbackOrigin {
  readonly told: Told[] = []
  /** The most requests that were under way at once. */
  most = 0
  answer: Answer
  #port = 0
  #underWay = 0
  #end: () => Promise<void> = async () => {}

  constructor(answer: Answer = OK) {
    this.answer = answer
  }

  static async start(t: Teardown, answer: Answer = OK): Promise<CallbackOrigin> {
    const origin = new CallbackOrigin(answer)
    t.teardown(() => origin.stop())
    await origin.start()
    return origin
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`
  }

  /** What it has heard in requests that it took. */
  get events(): Told['events'] {
    return this.told.flatMap(({ events }) => events)
  }

  /** Listens, again on the same port after a stop. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.most = Math.max(this.most, ++this.#underWay)
      response.once('close', () => this.#underWay--)
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        const body = Buffer.concat(parts).toString()
        const { events } = JSON.parse(body) as Told
        const told = { id: String(request.headers['webhook-id']), headers: request.headers, body, events }
        this.told.push(told)
        this.answer(response, told, this.told.length)
      })
    })
    await new Promise<void>(resolve => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#end = async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  async stop(): Promise<void> {
    await this.#end()
    this.#end = async () => {}
  }
}
