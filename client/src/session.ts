/** The connection that is made again and again: token, connect, refresh, drain, and what the close codes ask for. */
import { backoff, refreshIn } from './backoff.ts'
import { RelayError, refusal, refusalOf } from './errors.ts'
import type { ConnectedFrame, Refusal, RelayFrame } from './frames.ts'
import { type Ask, Socket } from './socket.ts'
import { Timers } from './timers.ts'

const NOT_AUTHENTICATED = 4401
const NOT_ALLOWED = 4403
const SENT_AWAY = 4410
const LOST = 1006
const STEADY_MS = 60_000
const PROBE_MS = 3000

const OWN_CODES = new Set(['timeout', 'closed', 'not_connected'])

export interface Credentials {
  readonly token: string
  readonly licence?: string
}

export interface SessionOptions {
  readonly url: string
  readonly licence: string | undefined
  readonly WebSocket: typeof WebSocket
  /** Asks the application; undefined means that there is none for this user any more. */
  readonly token: () => Promise<Credentials | undefined>
  readonly since: () => Record<string, number>
  readonly onup: (frame: ConnectedFrame) => void
  readonly onframe: (frame: RelayFrame) => void
  readonly ondown: () => void
  readonly onerror: (error: Refusal) => void
  /** Nothing more will be tried. */
  readonly onclosed: (error: Refusal) => void
}

export class Session {
  readonly #options: SessionOptions
  readonly #timers = new Timers()
  #socket: Socket | undefined
  #connected: ConnectedFrame | undefined
  #credentials: Credentials | undefined
  #expires = 0
  /** The token that ended with 4401; a different one is tried once. */
  #refused: string | undefined
  #refreshRefused = false
  #lastError: Refusal | undefined
  #attempts = 0
  /** Which attempt this is: what an older one has asked for comes too late. */
  #turn = 0
  #upSince = 0
  #notBefore = 0

  constructor(options: SessionOptions) {
    this.#options = options
    void this.#open()
  }

  get connected(): ConnectedFrame | undefined {
    return this.#connected
  }

  /** Resolves with the relay's answer; rejects with `not_connected` when there is no connection. */
  request(frame: Ask): Promise<RelayFrame> {
    if (this.#socket && this.#connected) return this.#socket.request(frame)
    return Promise.reject(new RelayError(refusal('not_connected', 'there is no connection to the relay')))
  }

  send(frame: object): void {
    this.#socket?.send(frame)
  }

  /** Something has woken up: the page, the network. Waits no longer, or finds out whether the link still works. */
  wake(): void {
    if (this.#timers.has('open')) {
      if (Date.now() >= this.#notBefore) void this.#open()
    } else if (this.#socket && this.#connected && !this.#timers.has('probe')) {
      const socket = this.#socket
      this.#timers.set('probe', PROBE_MS, () => {
        if (socket === this.#socket && socket.silentMs >= PROBE_MS - 100) this.reconnect()
      })
      // The cheapest question that is always answered: nobody is called `@`.
      socket.request({ op: 'unwatch', users: ['@'] }).catch(() => {})
    }
  }

  reconnect(): void {
    this.#drop()
    this.#attempts = 0
    void this.#open()
  }

  async refresh(): Promise<void> {
    this.#timers.clear('refresh')
    const turn = this.#turn
    try {
      const credentials = await this.#options.token()
      if (turn !== this.#turn) return
      if (!credentials) return this.#finish(refusal('token_callback', 'there is no token any more'))
      this.#credentials = credentials
      await this.request({ op: 'refresh', token: credentials.token })
    } catch (error) {
      if (turn === this.#turn) {
        // What the relay will not hear again; then it closes with 4401.
        this.#refreshRefused = error instanceof RelayError && !error.retryAfter && !OWN_CODES.has(error.code)
        this.#refreshLater()
      }
      throw error
    }
  }

  close(): void {
    this.#drop()
    this.#timers.clearAll()
  }

  async #open(): Promise<void> {
    const turn = ++this.#turn
    this.#timers.clear('open')
    const { url, WebSocket, licence, token, since } = this.#options
    // What has expired while there was no connection need not be tried.
    if (this.#expires && Date.now() / 1000 > this.#expires) this.#credentials = undefined
    if (!this.#credentials) {
      try {
        const credentials = await token()
        if (turn !== this.#turn) return
        if (!credentials) return this.#finish(refusal('token_callback', 'there is no token any more'))
        if (credentials.token === this.#refused) return this.#finish(this.#lastError!)
        this.#credentials = credentials
      } catch (error) {
        if (turn !== this.#turn) return
        this.#options.onerror(refusalOf(error, 'token_callback'))
        return this.#openLater()
      }
    }
    const mine = this.#credentials
    const socket = new Socket({
      url,
      WebSocket,
      onopen: () => {
        const { user, site } = since()
        const connect = { op: 'connect', licence, ...mine, since: { user, site }, client: 'throughline.js' }
        // A refusal is followed by a close; silence is not.
        socket.request(connect).catch((error: RelayError) => {
          if (error.code === 'timeout') this.#lost(LOST, error.message)
        })
      },
      onframe: frame => this.#receive(frame),
      onclose: (code, reason) => this.#lost(code, reason),
      onerror: error => this.#options.onerror(refusalOf(error, '')),
    })
    this.#socket = socket
  }

  #receive(frame: RelayFrame): void {
    if (frame.op !== 'error') this.#lastError = undefined
    if (frame.op === 'connected') {
      this.#connected = frame
      this.#upSince = Date.now()
      this.#socket!.heartbeat = frame.heartbeat
      this.#refused = undefined
      this.#refreshRefused = false
      this.#expires = frame.expires
      this.#refreshLater()
      return this.#options.onup(frame)
    }
    if (frame.op === 'refreshed') {
      this.#expires = frame.expires
      this.#refreshLater()
    } else if (frame.op === 'drain') {
      this.#timers.set('drain', Math.random() * frame.within, () => this.reconnect())
    } else if (frame.op === 'error') {
      this.#lastError = frame
      if (frame.retry_after! > 0) this.#notBefore = Date.now() + frame.retry_after! * 1000
      if (frame.id === undefined) this.#options.onerror(frame)
    } else {
      this.#options.onframe(frame)
    }
  }

  #refreshLater(): void {
    const left = this.#expires - Date.now() / 1000
    // With a wrong clock it seems over already; then the relay says when it is.
    if (left <= 0) return
    this.#timers.set('refresh', refreshIn(left, Math.random()), () => {
      this.refresh().catch((error: unknown) => this.#options.onerror(refusalOf(error, 'token_callback')))
    })
  }

  #lost(code: number, reason: string): void {
    const wasUp = this.#connected !== undefined
    this.#drop()
    const { code: cause, message } = this.#lastError ?? refusal(code === SENT_AWAY ? 'disconnected' : 'closed', '')
    const error = refusal(cause, message || reason || `the relay closed the connection (${code})`)
    if (code === NOT_ALLOWED || code === SENT_AWAY) return this.#finish(error)
    if (code === NOT_AUTHENTICATED) {
      if (this.#refused !== undefined || this.#refreshRefused) return this.#finish(error)
      this.#lastError = error
      this.#refused = this.#credentials?.token
      this.#credentials = undefined
    }
    if (wasUp && Date.now() - this.#upSince > STEADY_MS) this.#attempts = 0
    this.#openLater()
  }

  #openLater(): void {
    const wait = Math.max(backoff(this.#attempts++, Math.random()), this.#notBefore - Date.now())
    this.#timers.set('open', wait, () => void this.#open())
  }

  #drop(): void {
    this.#turn++
    this.#socket?.close()
    this.#socket = undefined
    for (const name of ['open', 'refresh', 'drain', 'probe']) this.#timers.clear(name)
    if (!this.#connected) return
    this.#connected = undefined
    this.#options.ondown()
  }

  #finish(error: Refusal): void {
    this.close()
    this.#options.onclosed(error)
  }
}
