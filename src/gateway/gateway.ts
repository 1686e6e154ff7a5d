import type * as UWS from 'uws-20.56'
import type { Connection } from '../connection/connection.ts'
import type { Connections } from '../connection/connections.ts'
import type { OutgoingEvent, Outlet } from '../hub/outlet.ts'
import { nowMicros } from '../lib/clock.ts'
import type { Limits } from '../limits/limits.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { BrowserCalls } from '../protocol/http.ts'
import type { ConnectionId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { answerBrowser } from './browser.ts'
import type { PeerAddresses } from './peer-address.ts'
import { Server, type ServerOptions } from './server.ts'
import { type Door, refuse, upgrade, type SocketData } from './upgrade.ts'

export interface GatewayOptions {
  readonly server: ServerOptions
  readonly connections: Connections
  readonly metrics: Metrics
  readonly limits: Limits
  readonly peers: PeerAddresses
  readonly calls: BrowserCalls
  /** Seconds between pings. */
  readonly heartbeat: number
  /** Bytes that may wait for a client before its socket is ended on the spot; a site's own limit is looked at less often. */
  readonly backlogCap: number
  /** Called when a topic's number of sockets becomes 0 or 1. */
  readonly listenersChanged: (topic: Topic, count: number) => void
}

/** Bytes of any frame, whatever a site allows; a larger one ends the socket before it is read (CONTRACT 24). */
const PAYLOAD = 262_144

/** The WebSocket port. All of uWebSockets.js is in this folder. */
export class Gateway implements Outlet {
  readonly #options: GatewayOptions
  readonly #server: Server
  /** The app that holds all sockets, so that there is one topic tree, whichever app let them in. */
  #app!: UWS.TemplatedApp
  /** Its context, once it has a socket. */
  #context: UWS.us_socket_context_t | undefined
  #outbox: OutgoingEvent[] = []
  /** The event of this turn of the loop that was not gathered. */
  #alone: OutgoingEvent | undefined
  /** Whether this turn has had an event. */
  #turn = false
  /** Whether the last turn that had events had many. */
  #crowded = false
  #draining = false

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#server = new Server(options.server, app => this.#route(app))
  }

  /** Takes the port and returns its number. */
  async listen(host: string, port: number): Promise<number> {
    return await this.#server.listen(host, port)
  }

  publish(item: OutgoingEvent): void {
    const first = !this.#turn
    if (first) {
      this.#turn = true
      setImmediate(() => this.#endTurn())
    }
    // Inside a handler of uWebSockets the thirty-third event for a socket would make a system call of each that follows:
    // when events come in numbers, gathering those of a turn of the loop and publishing them outside is ten times faster.
    // One that comes alone need not wait (bench/README.md).
    if (first && !this.#crowded) {
      this.#send(item)
      this.#alone = item
    } else this.#outbox.push(item)
  }

  flush(): void {
    if (this.#outbox.length === 0) return
    const items = this.#outbox
    this.#outbox = []
    for (const item of items) this.#send(item)
    this.#count(items)
  }

  subscribers(topic: Topic): number {
    return this.#app.numSubscribers(topic)
  }

  owns(connection: ConnectionId): boolean {
    return this.#options.connections.get(connection) !== undefined
  }

  broadcast(frame: string): void {
    this.flush()
    this.#options.connections.broadcast(frame)
  }

  /** Lets nobody in any more. */
  stopListening(): void {
    this.#draining = true
    this.#server.stopListening()
  }

  /** Closes what is still open. */
  close(): void {
    this.#server.close()
  }

  #send({ topic, frame, except, instead }: OutgoingEvent): void {
    const left = except === undefined ? undefined : this.#options.connections.get(except)
    if (left?.hears(topic) === true) left.publishExceptMe(topic, frame, instead)
    else this.#app.publish(topic, frame)
  }

  #endTurn(): void {
    this.#turn = false
    this.#crowded = this.#outbox.length > 1
    if (this.#alone !== undefined) this.#count([this.#alone])
    this.#alone = undefined
    this.flush()
  }

  #count(items: readonly OutgoingEvent[]): void {
    const { connections, limits, metrics } = this.#options
    // Only numbers outlive the turn: whole events would grow old, and cost the collector more than all else that an event costs.
    const stamps: number[] = []
    let last: Topic | undefined
    let sockets = 0
    let bytes = 0
    for (const { topic, stamp, frame } of items) {
      if (topic !== last) sockets = this.#app.numSubscribers(topic)
      last = topic
      if (sockets === 0) continue
      bytes += frame.length
      limits.delivered(topic, sockets)
      metrics.delivered(topic, sockets)
      if (stamp !== 0) stamps.push(stamp)
    }
    if (bytes === 0) return
    connections.published(bytes)
    // One turn later, when uWebSockets has written to the sockets: then it is true, and delays nobody.
    setImmediate(() => {
      connections.written()
      const now = nowMicros()
      for (const stamp of stamps) metrics.deliveredAfter((now - stamp) / 1e6)
    })
  }

  #route(app: UWS.TemplatedApp): void {
    if (this.#context === undefined) this.#app = app
    app.ws<SocketData>('/v1/ws', this.#behavior(app))
    const { calls } = this.#options
    app.any(calls.path, (response, request) => answerBrowser(response, request, calls, this.#door()))
    app.any('/*', response => {
      refuse(response, '404 Not Found', 'Throughline: WebSockets are at /v1/ws')
    })
  }

  #door(): Door {
    const { peers, limits } = this.#options
    return { peers, limits, draining: this.#draining }
  }

  /**
   * Returns where a socket that came in through `app` is to live: with all others, in the app of the first one. A socket
   * keeps the TLS session that it was opened with, so this works across certificates.
   */
  #home(app: UWS.TemplatedApp, context: UWS.us_socket_context_t): UWS.us_socket_context_t {
    if (this.#context === undefined) {
      this.#app = app
      this.#context = context
    }
    return this.#context
  }

  #behavior(app: UWS.TemplatedApp): UWS.WebSocketBehavior<SocketData> {
    const { connections, heartbeat, backlogCap, listenersChanged } = this.#options
    return {
      maxPayloadLength: PAYLOAD,
      maxBackpressure: backlogCap,
      // By default a slow socket would be skipped without a word. Closed, its client comes back and compares (DESIGN §7).
      closeOnBackpressureLimit: true,
      idleTimeout: heartbeat * 2,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => upgrade(response, request, this.#home(app, context), this.#door()),
      open: ws => {
        const data = ws.getUserData()
        data.connection = connections.open(ws, data.webOrigin, data.peer!)
        data.webOrigin = undefined
        data.peer = undefined
      },
      message: (ws, message, isBinary) => {
        connectionOf(ws).receive(Buffer.from(message), isBinary)
      },
      close: (ws, code) => connections.closed(connectionOf(ws), code),
      subscription: (ws, topic, count, before) => {
        const name = Buffer.from(topic).toString('latin1') as Topic
        if (count === 0 || before === 0) listenersChanged(name, count)
        connections.subscriptionChanged(connectionOf(ws), name, count > before)
      },
    }
  }
}

function connectionOf(ws: UWS.WebSocket<SocketData>): Connection {
  return ws.getUserData().connection!
}
