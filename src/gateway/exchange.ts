import { STATUS_CODES } from 'node:http'
import type * as UWS from 'uws-20.56'
import type { HttpAnswer, HttpRequest } from '../protocol/http.ts'

const NOTHING = Buffer.alloc(0)

/** Returns a request as it is lent to a handler, without its body. */
export function wholeRequest(request: UWS.HttpRequest): HttpRequest {
  const headers: Record<string, string> = {}
  request.forEach((name, value) => {
    headers[name] = value
  })
  const query = request.getQuery()
  const url = query === undefined || query === '' ? request.getUrl() : `${request.getUrl()}?${query}`
  return { method: request.getMethod().toUpperCase(), url, headers, body: NOTHING }
}

/** Writes an answer, and ends the connection if it is to `close`. */
export function send(response: UWS.HttpResponse, { status, headers, body }: HttpAnswer, close: boolean): void {
  // One write for all of it.
  response.cork(() => {
    response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`)
    for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value)
    response.end(body, close)
  })
}
