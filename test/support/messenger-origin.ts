import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, type Relay, type Site, type Teardown } from './relay.ts'

export interface Message {
  readonly id: string
  readonly chain: string
  readonly thread?: string
  readonly type: string
  readonly data: unknown
  readonly at: number
}

export type Places = Record<string, { after?: string; stamp?: number }>

interface Setup {
  readonly site: Site
  /** The relay to publish to; undefined while there is none. */
  readonly relay: () => Relay | undefined
  /** Files for browsers, by path. */
  readonly files?: Readonly<Record<string, { readonly type: string; readonly body: string | Uint8Array }>>
}

const RETRY_MS = 100

/**
 * A messenger's own server, over real HTTP: it saves events, publishes them from an outbox that keeps each chain's
 * order, and answers what a client that missed some asks. `POST /since` and `POST /poll` take `{chain: {after}}`,
 * `GET /token?user=7&thread=42` answers a user token, `POST /messages` saves `{chain, data, type?, except?}`.
 */
export class MessengerOrigin {
  readonly #setup: Setup
  readonly #server: Server
  readonly #saved: Message[] = []
  readonly #outbox = new Map<string, Promise<void>>()
  #isOpen = true
  #waiting = 0
  /** What clients have asked so far. */
  readonly questions: { readonly path: string; readonly chains: Places }[] = []
  tokens = 0
  /** While false every question is answered 503. */
  answers = true
  /** More fields of the next tokens. */
  claims: object = {}

  private constructor(setup: Setup) {
    this.#setup = setup
    this.#server = createServer((request, response) => {
      void this.#serve(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error))
      })
    })
  }

  static async open(t: Teardown, setup: Setup): Promise<MessengerOrigin> {
    const origin = new MessengerOrigin(setup)
    await new Promise<void>(resolve => origin.#server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      origin.#isOpen = false
      origin.#server.close()
      origin.#server.closeAllConnections()
    })
    return origin
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The ids of all events of a chain, in order. */
  ids(chain: string): string[] {
    return this.#saved.filter(message => message.chain === chain).map(({ id }) => id)
  }

  /** How many events are saved and not yet published. */
  get waiting(): number {
    return this.#waiting
  }

  /** Saves an event of `thread:42`, `user:7` or `site`, and publishes it when those of its chain before it are. */
  save(
    chain: string,
    data: unknown,
    { type = 'message', ...more }: { type?: string; except?: string; receipt_to?: string } = {},
  ): Message {
    const thread = chain.startsWith('thread:') ? chain.slice(7) : undefined
    const id = `${chain.replace(':', '.')}.${this.ids(chain).length + 1}`
    const message = { id, chain, type, data, at: Date.now(), ...(thread !== undefined && { thread }) }
    this.#saved.push(message)
    this.#waiting++
    const before = this.#outbox.get(chain) ?? Promise.resolve()
    this.#outbox.set(
      chain,
      before.then(() => this.#publish(message, more)),
    )
    return message
  }

  /** Returns what came after these places, as the client named them: its own chain is `user`. */
  since(chains: Places, user: string): object[] {
    return Object.entries(chains).flatMap(([chain, { after }]) => {
      const all = this.#saved.filter(message => message.chain === (chain === 'user' ? `user:${user}` : chain))
      return all
        .slice(all.findIndex(({ id }) => id === after) + 1)
        .map(({ id, thread, type, data, at }) => ({ id, thread, type, data, at, chain }))
    })
  }

  token(user: string, threads: readonly string[]): string {
    this.tokens++
    const all = Object.fromEntries(threads.map(thread => [thread, ['read', 'send', 'presence']]))
    return this.#setup.site.user(user, all, { watch: true, info: { name: `User ${user}` }, ...this.claims })
  }

  async #publish({ id, chain, type, data, thread }: Message, more: object): Promise<void> {
    const to = thread !== undefined ? { thread } : chain === 'site' ? { site: true } : { users: [chain.slice(5)] }
    while (this.#isOpen) {
      const relay = this.#setup.relay()
      const answer =
        relay &&
        (await call(relay, this.#setup.site.server(), '/v1/publish', { to, type, id, data, ...more }).catch(
          () => undefined,
        ))
      if (answer?.status === 200) break
      if (answer !== undefined && answer.status < 500) throw new Error(`publish: ${JSON.stringify(answer.body)}`)
      await sleep(RETRY_MS)
    }
    this.#waiting--
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, 'http://origin')
    const user = searchParams.get('user') ?? '7'
    const body = request.method === 'POST' ? await bodyOf(request) : undefined
    const file = this.#setup.files?.[pathname]
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    if (file !== undefined) {
      response.writeHead(200, { 'content-type': file.type, 'cache-control': 'no-cache' }).end(file.body)
    } else if (!this.answers) {
      response.writeHead(503).end()
    } else if (pathname === '/token') {
      response.writeHead(200).end(this.token(user, searchParams.getAll('thread')))
    } else if (pathname === '/since' || pathname === '/poll') {
      this.questions.push({ path: pathname, chains: body as Places })
      json(this.since(body as Places, user))
    } else if (pathname === '/messages') {
      const { chain, data, ...more } = body as { chain: string; data: unknown }
      json(this.save(chain, data, more))
    } else {
      response.writeHead(404).end()
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString())
}
