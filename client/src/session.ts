/** The connection that is made again and again: token, connect, refresh, drain, and what the close codes ask for. */
import { backoff, refreshIn } from './backoff.ts'
import { own, RelayError, refusalOf } from './errors.ts'
import type { ConnectedFrame, Refusal, RelayFrame } from './frames.ts'
import { type Ask, openSocket, type Socket } from './socket.ts'
import { createTimers } from './timers.ts'

const NOT_AUTHENTICATED = 4401
const NOT_ALLOWED = 4403
const SENT_AWAY = 4410
const LOST = 1006
const STEADY_MS = 60_000
const PROBE_MS = 3000
const NO_TOKEN = 'token_callback'

export interface Credentials {
  readonly token: string
  readonly licence?: string | undefined
}

export interface SessionOptions {
  readonly url: string
  readonly licence?: string | undefined
  readonly WebSocket: typeof WebSocket
  /** Asks the application; undefined means that there is none for this user any more. */
  readonly token: () => Promise<Credentials | undefined>
  readonly since: () => Readonly<Record<string, number>>
  /** The socket is open: what is requested now follows `connect`. */
  readonly onopen: () => void
  readonly onup: (frame: ConnectedFrame) => void
  readonly onframe: (frame: RelayFrame) => void
  readonly ondown: () => void
  readonly onerror: (error: Refusal) => void
  /** Nothing more will be tried. */
  readonly onclosed: (error: Refusal) => void
}

export interface Session {
  /** What the relay said of the connection, if there is one. */
  connected: () => ConnectedFrame | undefined
  /** Resolves with the relay's answer; rejects with `not_connected` when there is no connection. */
  request: (frame: Ask) => Promise<unknown>
  send: (frame: object) => void
  refresh: () => Promise<void>
  /** Something has woken up: the page, the network. Waits no longer, or finds out whether the link still works. */
  wake: () => void
  reconnect: () => void
  close: () => void
}

export function openSession(options: SessionOptions): Session {
  const { onopen, onup, onframe, ondown, onerror, onclosed } = options
  const timers = createTimers()
  let socket: Socket | undefined
  let connected: ConnectedFrame | undefined
  let credentials: Credentials | undefined
  let expires = Infinity
  /** The token that ended with 4401; a different one is tried once. */
  let refused: string | undefined
  let isRefreshRefused = false
  let lastError: Refusal | undefined
  let attempts = 0
  /** Which attempt this is: what an older one has asked for comes too late. */
  let turn = 0
  let upSince = 0
  let notBefore = 0

  const drop = (): void => {
    turn++
    timers.clearAll()
    if (!socket) return
    socket.close()
    socket = connected = undefined
    ondown()
  }

  const finish = (error: Refusal): void => {
    drop()
    onclosed(error)
  }

  /** Gets credentials from the application. Returns whether this turn goes on with them. */
  const authenticate = async (): Promise<boolean> => {
    const mine = turn
    const got = await options.token()
    if (mine !== turn) return false
    if (got) credentials = got
    else finish(own(NO_TOKEN))
    return got !== undefined
  }

  const openLater = (): void =>
    timers.set('open', Math.max(backoff(attempts++, Math.random()), notBefore - Date.now()), () => void open())

  const lost = (code: number, reason: string): void => {
    if (connected && Date.now() - upSince > STEADY_MS) attempts = 0
    drop()
    const error = lastError ?? {
      code: code === SENT_AWAY ? 'disconnected' : 'closed',
      message: reason || `close code ${code}`,
    }
    if (code === NOT_ALLOWED || code === SENT_AWAY) return finish(error)
    if (code === NOT_AUTHENTICATED) {
      if (refused || isRefreshRefused) return finish(error)
      lastError = error
      refused = credentials!.token
      credentials = undefined
    }
    openLater()
  }

  const refreshLater = (): void => {
    const left = expires - Date.now() / 1000
    // With a wrong clock it seems over already; then the relay says when it is.
    if (left > 0)
      timers.set(
        'refresh',
        refreshIn(left, Math.random()),
        () => void refresh().catch(error => onerror(refusalOf(error, NO_TOKEN))),
      )
  }

  const refresh = async (): Promise<void> => {
    const mine = turn
    try {
      if (await authenticate()) await request({ op: 'refresh', token: credentials!.token })
    } catch (error) {
      if (mine === turn) {
        // The relay closes with 4401 after it.
        isRefreshRefused = lastError !== undefined && lastError.code === (error as RelayError).code
        refreshLater()
      }
      throw error
    }
  }

  const receive = (frame: RelayFrame): void => {
    if (frame.op === 'error') {
      lastError = frame
      if (frame.retry_after! > 0) notBefore = Date.now() + frame.retry_after! * 1000
      if (frame.id === undefined) onerror(frame)
      return
    }
    lastError = undefined
    if (frame.op === 'connected' || frame.op === 'refreshed') {
      expires = frame.expires
      refused = undefined
      isRefreshRefused = false
      refreshLater()
    }
    if (frame.op === 'connected') {
      connected = frame
      upSince = Date.now()
      socket!.beat(frame.heartbeat)
      onup(frame)
    } else if (frame.op === 'drain') timers.set('drain', Math.random() * frame.within, reconnect)
    else onframe(frame)
  }

  const open = async (): Promise<void> => {
    const mine = ++turn
    timers.clear('open')
    try {
      // What has expired while there was no connection need not be tried.
      if (expires < Date.now() / 1000) credentials = undefined
      if (!credentials && !(await authenticate())) return
      if (credentials!.token === refused) return finish(lastError!)
      socket = openSocket({
        url: options.url,
        WebSocket: options.WebSocket,
        onopen() {
          const { user, site } = options.since()
          // A refusal is followed by a close; silence is not.
          socket!
            .request({ op: 'connect', licence: options.licence, ...credentials, since: { user, site } })
            .catch(({ code, message }: RelayError) => {
              if (code === 'timeout') lost(LOST, message)
            })
          onopen()
        },
        onframe: receive,
        onclose: lost,
        onerror,
      })
    } catch (error) {
      if (mine !== turn) return
      onerror(refusalOf(error, credentials ? 'closed' : NO_TOKEN))
      openLater()
    }
  }

  const request = (frame: Ask): Promise<unknown> =>
    socket ? socket.request(frame) : Promise.reject(new RelayError(own('not_connected')))

  const reconnect = (): void => {
    drop()
    attempts = 0
    void open()
  }

  void open()
  return {
    connected: () => connected,
    request,
    send: frame => socket?.send(frame),
    refresh,
    wake() {
      if (timers.has('open')) {
        if (Date.now() >= notBefore) void open()
      } else if (connected && !timers.has('probe')) {
        const { silentMs } = socket!
        timers.set('probe', PROBE_MS, () => {
          if (silentMs() > PROBE_MS - 100) reconnect()
        })
        // The cheapest question that is always answered: nobody is called `@`.
        socket!.send({ op: 'unwatch', users: ['@'] })
      }
    },
    reconnect,
    close: drop,
  }
}

/** Returns what a page gave as its token; undefined if that is nothing. */
export function credentialsOf(told: unknown): Credentials | undefined {
  const { token, licence } = ((told as Credentials | null)?.token ? told : { token: told }) as Credentials
  return token ? { token: token.trim(), licence } : undefined
}
