import { readFileSync } from 'node:fs'
import { type MessageEvent, WebSocket } from 'undici'
import { after } from '../../lib/clock.ts'
import { randomId } from '../../lib/random.ts'
import { callApi } from '../api.ts'
import { Failure } from '../command.ts'
import { signingKey, siteToken } from '../token.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'
import { get, reachable } from './running-node.ts'
import { NO_SIGNER, type Signer, signers } from './signer.ts'

const TOKEN_SECONDS = 60
const STEP_MS = 3000
/** The same each time, so that a site's callbacks tell it apart, and Redis keeps one head of it. */
const NAME = 'throughline-doctor'

/** Does what a site's page and server do: connects with a token, subscribes, publishes, and waits for the event. */
export async function roundTrip(patient: Patient): Promise<readonly Result[]> {
  const where = await nodeAt(patient)
  if ('level' in where) return [where]
  const [signer] = await signers(patient)
  if (signer === undefined) return [skipped(NO_SIGNER)]
  const socket = new WebSocket(where.url, ['throughline.v1'])
  try {
    return [await go(socket, where, signer)]
  } catch (error) {
    if (!(error instanceof Failure) && !(error instanceof Unanswered)) throw error
    return [found('round_trip_failed', `${signer.site}: ${error.message}`)]
  } finally {
    socket.close()
  }
}

/** Returns a node to try: the one of --url and --api, else the one that answers where a node is configured to listen. */
export async function nodeAt({ config, options: { url, api } }: Patient): Promise<NodeAt | Result> {
  if (url !== undefined && api !== undefined) return { url, api }
  const [ws, http] = [reachable(config.wsListen), reachable(config.apiListen)]
  const scheme = config.tlsCert === undefined ? 'http' : 'https'
  if ((await get(`${scheme}://${ws}/`)) === undefined) {
    return skipped('no node answers on the configured addresses; start one, or name it by --url and --api')
  }
  // Its certificate is for a name, which only the operator knows.
  if (scheme === 'https') return skipped('the node speaks TLS: name it by --url and --api')
  return { url: `ws://${ws}/v1/ws`, api: `http://${http}` }
}

interface NodeAt {
  readonly url: string
  readonly api: string
}

class Unanswered extends Error {}

async function go(socket: WebSocket, { url, api }: NodeAt, { site, values }: Signer): Promise<Result> {
  const inbox = new Inbox(socket, url)
  await inbox.expect('open')
  const claims = { aud: 'throughline', sub: NAME, threads: { [NAME]: ['read'] } }
  const token = await siteToken(signingKey(values, site), site, TOKEN_SECONDS, claims)
  const licence = values.licence === undefined ? {} : { licence: readFileSync(values.licence, 'utf8').trim() }
  const ask = (op: string, id: number, fields: object): Promise<void> => {
    socket.send(JSON.stringify({ op, id, ...fields }))
    return inbox.expect(String(id))
  }
  await ask('connect', 1, { token, ...licence })
  await ask('subscribe', 2, { threads: [NAME] })
  const id = randomId(9)
  const event = { to: { thread: NAME }, type: 'doctor', id, data: null }
  await callApi(`${api}/v1/publish`, { ...values, api }, site, 'publish', JSON.stringify(event), STEP_MS)
  await inbox.expect(id)
  return ok(`an event of ${site} went from ${api} to ${url}`)
}

interface Frame {
  readonly id?: number | string
  readonly op: string
  readonly code?: string
  readonly message?: string
  readonly refused?: Readonly<Record<string, { readonly code: string; readonly message: string }>>
}

/** Gathers what comes, by its id: an event may come before its publisher is answered. */
class Inbox {
  readonly #url: string
  readonly #came = new Set<string>()
  #fault: string | undefined
  #wake = (): void => {}

  constructor(socket: WebSocket, url: string) {
    this.#url = url
    socket.addEventListener('open', () => this.#take('open'))
    socket.addEventListener('error', () => this.#fail(`no WebSocket at ${url}`))
    socket.addEventListener('close', ({ code, reason }) => this.#fail(`the node closed with ${code} ${reason}`))
    socket.addEventListener('message', ({ data }: MessageEvent) => {
      const { id, op, code, message, refused } = JSON.parse(String(data)) as Frame
      const no = Object.values(refused ?? {})[0]
      if (op === 'error') this.#fail(`${code}: ${message}`)
      else if (no !== undefined) this.#fail(`${no.code}: ${no.message}`)
      else if (id !== undefined) this.#take(String(id))
    })
  }

  /** Resolves when something with this id has come. Rejects with an Unanswered when it will not, or not in time. */
  async expect(id: string): Promise<void> {
    const cancel = after(STEP_MS, () => this.#fail(`nothing came from ${this.#url} within ${STEP_MS / 1000} s`))
    while (!this.#came.has(id)) {
      if (this.#fault !== undefined) throw new Unanswered(this.#fault)
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
    cancel()
  }

  #take(id: string): void {
    this.#came.add(id)
    this.#wake()
  }

  #fail(why: string): void {
    this.#fault ??= why
    this.#wake()
  }
}
