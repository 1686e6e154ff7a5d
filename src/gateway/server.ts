import type * as UWS from 'uws-20.56'
import { after, type Cancel, endOfTick } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Certificate } from './certificate.ts'
import { chosenPort, listen } from './listen.ts'

export interface ServerOptions {
  readonly uws: typeof UWS
  /** Without one the port is plain. */
  readonly certificate: Certificate | undefined
  /** Whether other processes listen on the same port. */
  readonly shared: boolean
  readonly log: Log
}

const LISTEN_AGAIN_MS = 100
const QUIET_MS = 0.1
const TURNS = 1000

/**
 * One port of uWebSockets. An app keeps its certificate for life, so a new certificate means a new app: it takes over the
 * listening, and the old app keeps the connections that it has.
 */
export class Server {
  readonly #options: ServerOptions
  readonly #route: (app: UWS.TemplatedApp) => void
  // Old ones too: closed at the end. One for each certificate, so they are few.
  readonly #apps: UWS.TemplatedApp[] = []
  #listening: UWS.us_listen_socket | undefined
  #host = ''
  #port = 0
  #stopped = false
  #cancel: Cancel | undefined

  /** `route` is called for each app before it listens. */
  constructor(options: ServerOptions, route: (app: UWS.TemplatedApp) => void) {
    this.#options = options
    this.#route = route
    this.#open()
    options.certificate?.onChange(() => {
      this.#open()
      if (this.#listening !== undefined) void this.#move()
    })
  }

  /** Takes the port, for this process alone unless it is shared, and returns its number. */
  async listen(host: string, port: number): Promise<number> {
    const { uws, certificate, shared } = this.#options
    // uWebSockets lets a port that the system chose neither be shared nor be listened on again.
    this.#port = port === 0 && (certificate !== undefined || shared) ? await chosenPort(host) : port
    this.#host = host
    this.#listening = await listen(this.#apps.at(-1)!, host, this.#port, shared)
    return uws.us_socket_local_port(this.#listening)
  }

  /** Lets nobody in any more. */
  stopListening(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#letGo()
  }

  /** Closes the port and every connection. */
  close(): void {
    this.stopListening()
    for (const app of this.#apps) app.close()
  }

  #open(): void {
    const { uws, certificate } = this.#options
    const app = certificate === undefined ? uws.App() : certificate.app(uws)
    this.#route(app)
    this.#apps.push(app)
  }

  /** Listens with the newest app instead. */
  async #move(): Promise<void> {
    await quietTurn()
    if (this.#stopped) return
    this.#letGo()
    try {
      this.#listening = await listen(this.#apps.at(-1)!, this.#host, this.#port, this.#options.shared)
      if (this.#stopped) this.#letGo()
    } catch (error) {
      this.#options.log.error(errorFacts(error), 'a port was lost while its certificate changed; it is tried again')
      this.#cancel = after(LISTEN_AGAIN_MS, () => void this.#move())
    }
  }

  #letGo(): void {
    if (this.#listening !== undefined) this.#options.uws.us_listen_socket_close(this.#listening)
    this.#listening = undefined
  }
}

/**
 * Resolves after a turn of the loop that had nothing to do, or after many. What listens cannot be handed over, and the
 * kernel resets who has come since the last poll: so let that be as short as can be.
 */
async function quietTurn(): Promise<void> {
  await endOfTick()
  for (let turn = 0; turn < TURNS; turn++) {
    const start = performance.now()
    await endOfTick()
    if (performance.now() - start < QUIET_MS) return
  }
}
