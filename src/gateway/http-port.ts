import type * as UWS from 'uws-20.56'
import type { HttpAnswer, HttpCalls, HttpRequest } from '../protocol/http.ts'
import { send, wholeRequest } from './exchange.ts'
import { Server, type ServerOptions } from './server.ts'

const NOTHING = Buffer.alloc(0)

/**
 * The HTTP port on uWebSockets: three times the calls per second of Node's own server (docs/decisions/007-http-port.md).
 * It ends a request that is not complete after about 10 s by itself, however it drips in (CONTRACT 32).
 */
export class HttpPort {
  readonly #calls: HttpCalls
  readonly #server: Server
  #underWay = 0
  #idle: (() => void) | undefined

  constructor(options: ServerOptions, calls: HttpCalls) {
    this.#calls = calls
    this.#server = new Server(options, app => this.#route(app))
  }

  /** Takes the port and returns its number. */
  async listen(host: string, port: number): Promise<number> {
    return await this.#server.listen(host, port)
  }

  /** Takes no more calls, lets those under way be answered, and closes all connections. */
  async close(): Promise<void> {
    this.#server.stopListening()
    if (this.#underWay > 0) {
      await new Promise<void>(resolve => {
        this.#idle = resolve
      })
    }
    this.#server.close()
  }

  #route(app: UWS.TemplatedApp): void {
    for (const [path, call] of this.#calls.hot) {
      app.post(path, (response, request) =>
        this.#take(response, hotRequest(path, request, this.#calls.hotHeaders), call),
      )
    }
    app.any('/*', (response, request) =>
      this.#take(response, wholeRequest(request), whole => this.#calls.answer(whole)),
    )
  }

  #take(response: UWS.HttpResponse, request: HttpRequest, call: (request: HttpRequest) => Promise<HttpAnswer>): void {
    const chunks: Buffer[] = []
    let size = 0
    let gone = false
    this.#underWay++
    const done = (): void => {
      if (gone) return
      gone = true
      if (--this.#underWay === 0) this.#idle?.()
    }
    response.onAborted(done)
    response.onData((chunk, isLast) => {
      if (gone) return
      size += chunk.byteLength
      if (size > this.#calls.bodyBytes) {
        // What is still to come is not read: the connection ends with the answer.
        send(response, this.#calls.tooLarge(), true)
        done()
        return
      }
      // A copy, since the chunk is only lent until this returns.
      if (chunk.byteLength > 0) chunks.push(Buffer.from(Buffer.from(chunk)))
      if (!isLast) return
      request.body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      void call(request).then(answer => {
        if (!gone) send(response, answer, false)
        done()
      })
    })
  }
}

function hotRequest(path: string, request: UWS.HttpRequest, names: readonly string[]): HttpRequest {
  const query = request.getQuery()
  const url = query === undefined || query === '' ? path : `${path}?${query}`
  const headers: Record<string, string> = {}
  for (const name of names) {
    const value = request.getHeader(name)
    if (value !== '') headers[name] = value
  }
  return { method: 'POST', url, headers, body: NOTHING }
}
