import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { afterOf, HttpError, readJson, textOf, tokenOf } from './input.ts'
import type { Outbox } from './outbox.ts'
import { readPageFile } from './page-files.ts'
import type { Store, User } from './store.ts'
import { type SecretKey, userToken } from './tokens.ts'

/**
 * A small origin: it stands for WordPress, or whatever has the data. It knows who somebody is, keeps the messages,
 * says who may read what (by tokens), and tells the relay what it has saved. It holds no connection open.
 */
export interface OriginOptions {
  readonly site: string
  readonly key: SecretKey
  /** Where pages reach the relay, such as `ws://127.0.0.1:8080`. */
  readonly relay: string
  readonly store: Store
  readonly outbox: Outbox
}

type Route = (request: IncomingMessage, url: URL) => unknown

const NAME_CHARS = 40
const TEXT_CHARS = 2000

/** Returns the listener for a node:http server. */
export function createOrigin(options: OriginOptions): RequestListener {
  const routes = routesOf(options)
  return (request, response) => {
    setSecurityHeaders(response, options.relay)
    answer(routes, request, response).catch(error => {
      const { status, message } = error instanceof HttpError ? error : { status: 500, message: 'A fault of ours.' }
      if (status === 500) console.error(error)
      // What is left of a body that we did not want to read goes with its connection.
      if (!request.complete) response.setHeader('connection', 'close')
      sendJson(response, status, { error: message })
    })
  }
}

function routesOf({ site, key, relay, store, outbox }: OriginOptions): Map<string, Route> {
  const userOf = (request: IncomingMessage): User => {
    // In a header, not in a cookie: so two windows of one browser can be two people, and no foreign page can use it.
    const session = /^Bearer ([\w-]{1,128})$/.exec(request.headers.authorization ?? '')?.[1]
    const user = session === undefined ? undefined : store.userOf(session)
    if (user === undefined) throw new HttpError(401, 'Log in first.')
    return user
  }
  const threadOf = (value: unknown): string => {
    if (typeof value !== 'string' || !store.hasThread(value)) throw new HttpError(422, 'There is no such thread.')
    return value
  }

  return new Map<string, Route>([
    [
      'POST /login',
      async request => {
        const { name } = await readJson(request)
        return { ...store.login(textOf(name, 'name', NAME_CHARS, 'one line')), threads: store.threads }
      },
    ],
    [
      'GET /token',
      request => {
        const threads = store.threads.map(({ id }) => id)
        return { url: `${relay}/v1/ws`, token: userToken(site, userOf(request).id, threads, key) }
      },
    ],
    [
      'GET /messages',
      (request, url) => {
        userOf(request)
        const { searchParams } = url
        return store.messagesAfter(threadOf(searchParams.get('thread')), afterOf(searchParams.get('after')))
      },
    ],
    [
      'POST /messages',
      async request => {
        const author = userOf(request)
        const body = await readJson(request)
        const text = textOf(body['text'], 'text', TEXT_CHARS, 'many lines')
        const connection = body['connection'] === undefined ? undefined : tokenOf(body['connection'], 'connection')
        const saved = store.save(author, threadOf(body['thread']), text, tokenOf(body['key'], 'key'))
        if (saved.isNew) outbox.add(saved.message, connection)
        return saved.message
      },
    ],
  ])
}

async function answer(routes: Map<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://origin')
  const route = routes.get(`${request.method} ${url.pathname}`)
  if (route !== undefined) return sendJson(response, 200, await route(request, url))

  if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'There is no such call.')
  const file = await readPageFile(url.pathname)
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
    `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ${relay}; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('cache-control', 'no-store')
}
