import type { Peer } from '../limits/addresses.ts'
import { Seat } from '../limits/seat.ts'
import { errorFacts } from '../observe/log.ts'
import { closeCode, TOO_MUCH, TOO_SLOW } from '../protocol/codes.ts'
import { decodeFrame, decodeId, type ClientFrame } from '../protocol/decode.ts'
import type { ConnectionId, SiteId, ThreadId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import { type SiteLimits, UNKNOWN_SITE, type UserIdentity } from '../trust/trust.ts'
import type { Grant } from './access.ts'
import { OPS, opOf, type Rest } from './ops.ts'
import type { Services } from './services.ts'
import type { Socket } from './socket.ts'

/** Frames that may wait while one is being worked on. */
const WAITING = 256

/**
 * One WebSocket's life: new (waits for `connect`) → connected → closed. One object of a fixed shape per socket: no
 * closure, no timer, no list of its topics (uWebSockets has that).
 */
export class Connection {
  readonly id: ConnectionId
  readonly openedAt: number
  /** In which second of the heartbeat it is pinged: another for each connection, so that pings do not come in bursts. */
  readonly phase: number
  /** What it takes up of the limits. */
  readonly seat: Seat
  /** What grants allow beside the token. */
  grants: ReadonlyMap<ThreadId, Grant> | undefined
  /** How many threads it is subscribed to. */
  threads = 0
  readonly #socket: Socket
  readonly #services: Services
  #identity: UserIdentity | undefined
  #closed = false
  #userTopic: Topic | undefined
  #working = false
  /** The frames that wait while one is being worked on. */
  #waiting: ClientFrame[] | undefined
  #backlog = 0
  #webOrigin: string | undefined

  constructor(
    id: ConnectionId,
    phase: number,
    socket: Socket,
    webOrigin: string | undefined,
    peer: Peer,
    services: Services,
  ) {
    this.id = id
    this.phase = phase
    this.openedAt = services.clock.now()
    this.#webOrigin = webOrigin
    this.#socket = socket
    this.#services = services
    this.seat = new Seat(services.limits, peer)
  }

  get identity(): UserIdentity | undefined {
    return this.#identity
  }

  /** Its user's own chain, once that is known. */
  get userTopic(): Topic | undefined {
    return this.#userTopic
  }

  /** The Origin header of the page (RFC 6454 §7) until the connection is authenticated; undefined when the peer is not a browser. */
  get webOrigin(): string | undefined {
    return this.#webOrigin
  }

  /** Bytes that waited for the client when `checkBacklog` looked last. */
  get backlog(): number {
    return this.#backlog
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Takes a message from the socket. The bytes are read before this returns. */
  receive(message: Buffer, isBinary: boolean): void {
    const { frameBytes, framesPerSecond, framesBurst } = this.#limits
    if (message.length > frameBytes) {
      return this.refuse(new Refusal('too_large', `a frame may have ${frameBytes} bytes`))
    }
    const wait = this.seat.charge(message.length, framesPerSecond, framesBurst)
    if (wait > 0) return this.#refuseFrame(decodeId(message), `${framesPerSecond} frames per second`, wait)
    if (isBinary) return this.refuse(new Refusal('bad_frame', 'a binary message'))
    const frame = decodeFrame(message)
    if (frame instanceof Refusal) return this.refuse(frame)
    this.#services.metrics.frameReceived(OPS.has(frame.op) ? frame.op : 'unknown')
    if (this.#waiting?.length === WAITING) return this.#refuseFrame(frame.id, 'too many frames are waiting', Infinity)
    this.#enqueue(frame)
  }

  /** Sends a frame; does nothing once the socket has closed. */
  send(frame: object | string | Buffer): void {
    const ready = typeof frame === 'string' || Buffer.isBuffer(frame)
    if (!this.#closed) this.#socket.send(ready ? frame : JSON.stringify(frame))
  }

  /** Tells the client of a refusal, and closes the connection if that is what goes with it. */
  refuse(refusal: Refusal, id?: number): void {
    const { code, message, retryAfter, keepOpen, site = this.#site } = refusal
    this.#services.metrics.refused(code, site)
    this.send({ op: 'error', id, code, message, retry_after: retryAfter })
    const close = closeCode(code)
    if (close === undefined || keepOpen) return
    const { address } = this.seat
    if (address !== undefined) this.#services.log.debug({ connection: this.id, address, code }, 'refused')
    this.close(close, code)
  }

  close(code: number, reason: string): void {
    if (!this.#closed) this.#socket.end(code, reason)
  }

  /** To be called when the socket has closed, for whatever reason: from then on it is not touched. */
  closedBy(code: number): void {
    this.#closed = true
    this.seat.release()
    this.#services.metrics.connectionClosed(code, this.#site)
    this.#services.log.debug({ connection: this.id, site: this.#site, user: this.#identity?.user, code }, 'closed')
  }

  /** Takes over what a token of the user of a chain says: the first, or the one of a refresh. */
  authenticate(identity: UserIdentity, userTopic: Topic): void {
    if (this.#identity === undefined) this.#accepted(identity)
    this.#identity = identity
    this.#userTopic = userTopic
  }

  /** Closes it if more waits for its client than its site allows. */
  checkBacklog(): void {
    if (this.#closed) return
    this.#backlog = this.#socket.getBufferedAmount()
    if (this.#backlog <= this.#limits.backpressureBytes) return
    this.#services.metrics.slowConsumer(this.#site)
    this.close(TOO_SLOW.close, TOO_SLOW.reason)
  }

  join(topics: readonly Topic[]): void {
    if (!this.#closed) for (const topic of topics) this.#socket.subscribe(topic)
  }

  leave(topics: readonly Topic[]): void {
    if (!this.#closed) for (const topic of topics) this.#socket.unsubscribe(topic)
  }

  hears(topic: Topic): boolean {
    return !this.#closed && this.#socket.isSubscribed(topic)
  }

  topics(): readonly Topic[] {
    return this.#closed ? [] : (this.#socket.getTopics() as Topic[])
  }

  /** Publishes to a topic's other subscribers on this node, and sends this one something else, or nothing. */
  publishExceptMe(topic: Topic, frame: Buffer, instead: Buffer | undefined): void {
    if (this.#closed) return
    this.#socket.publish(topic, frame)
    if (instead !== undefined) this.#socket.send(instead)
  }

  #accepted({ user, site }: UserIdentity): void {
    this.#services.log.debug({ connection: this.id, address: this.seat.address, site: site.id, user }, 'connected')
    this.#webOrigin = undefined
    this.#services.metrics.siteConnected(site.id)
    this.seat.authenticated()
  }

  get #site(): SiteId | undefined {
    return this.#identity?.site.id
  }

  get #limits(): SiteLimits {
    return this.#identity?.site.limits ?? UNKNOWN_SITE
  }

  /** Answers a frame that is too much; closes when there is no sense in waiting. */
  #refuseFrame(id: number | undefined, why: string, seconds: number): void {
    this.#services.metrics.rateLimited('frames', this.#site)
    const final = seconds === Infinity
    this.refuse(new Refusal('rate_limited', why, final ? {} : { retryAfter: Math.ceil(seconds) }), id)
    if (final) this.close(TOO_MUCH, 'rate_limited')
  }

  /** Frames are worked on in their order; one that takes longer than its tick makes the next ones wait. */
  #enqueue(frame: ClientFrame): void {
    if (!this.#working) this.#try(frame, () => this.#start(frame))
    else if (this.#waiting === undefined) this.#waiting = [frame]
    else this.#waiting.push(frame)
  }

  #start(frame: ClientFrame): void {
    const working = opOf(frame, this.#identity === undefined)(this, frame, this.#services)
    if (!(working instanceof Promise)) return
    this.#working = true
    working.then(
      rest => this.#goOn(frame, rest ?? undefined),
      (error: unknown) => {
        this.#failed(error, frame)
        this.#goOn(frame)
      },
    )
  }

  /** Ends a frame that had to wait, and goes on with those behind it as far as they need not. */
  #goOn(frame: ClientFrame, rest: Rest = () => {}): void {
    this.#working = false
    const waiting = this.#waiting
    if (waiting === undefined || this.#closed) return this.#try(frame, rest)
    let at = frame
    let fault: [unknown] | undefined
    // One write for all answers, and nothing comes between them: what is published meanwhile stays in its place.
    this.#socket.cork(() => {
      try {
        rest()
        while (!this.#working && !this.#closed && waiting.length > 0) this.#start((at = waiting.shift()!))
      } catch (error) {
        fault = [error]
      }
    })
    if (waiting.length === 0) this.#waiting = undefined
    if (fault === undefined) return
    // Outside, since it may end the socket.
    this.#failed(fault[0], at)
    this.#goOn(at)
  }

  #try(frame: ClientFrame, step: () => void): void {
    try {
      if (!this.#closed) step()
    } catch (error) {
      this.#failed(error, frame)
    }
  }

  #failed(error: unknown, { op, id }: ClientFrame): void {
    if (error instanceof Refusal) return this.refuse(error, id)
    this.#services.log.error({ connection: this.id, op, ...errorFacts(error) }, 'an op failed')
    this.refuse(new Refusal('internal'), id)
  }
}
