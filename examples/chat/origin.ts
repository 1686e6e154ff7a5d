import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { HttpError } from './input.ts'
import { readPageFile } from './page-files.ts'
import { type Parts, type Route, routesOf } from './routes.ts'

/**
 * A small origin: it stands for WordPress, or whatever has the data. It knows who somebody is, keeps the messages,
 * says who may read what (by tokens), and tells the relay what it has saved. It holds no connection open.
 *
 * Returns the listener for a node:http server.
 */
export function createOrigin(parts: Parts): RequestListener {
  const routes = routesOf(parts)
  return (request, response) => {
    setSecurityHeaders(response, parts.relay)
    answer(routes, request, response).catch(error => {
      const { status, message } = error instanceof HttpError ? error : { status: 500, message: 'A fault of ours.' }
      if (status === 500) console.error(error)
      // What is left of a body that we did not want to read goes with its connection.
      if (!request.complete) response.setHeader('connection', 'close')
      sendJson(response, status, { error: message })
    })
  }
}

async function answer(routes: Map<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://origin')
  const route = routes.get(`${request.method} ${pathname}`)
  if (route !== undefined) return sendJson(response, 200, await route(request))

  if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'There is no such call.')
  const file = await readPageFile(pathname)
  if (file === undefined) throw new HttpError(404, 'There is no such page.')
  response.writeHead(200, { 'content-type': file.type }).end(file.content)
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}

/** Scripts, styles and connections from nowhere else: what got into a message as markup could still do nothing. */
function setSecurityHeaders(response: ServerResponse, relay: string): void {
  response.setHeader(
    'content-security-policy',
    `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; ` +
      `connect-src 'self' ${relay} ${relay.replace('ws', 'http')}; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  response.setHeader('permissions-policy', 'microphone=(self), camera=(), geolocation=()')
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('cache-control', 'no-store')
}
