import type { Peer } from '../limits/addresses.ts'
import { Seat } from '../limits/seat.ts'
import { errorFacts } from '../observe/log.ts'
import { closeCode, TOO_MUCH, TOO_SLOW } from '../protocol/codes.ts'
import { decodeFrame, decodeId, type ClientFrame } from '../protocol/decode.ts'
import type { ConnectionId, SiteId, ThreadId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import { type SiteLimits, UNKNOWN_SITE, type UserIdentity } from '../trust/trust.ts'
import { connect } from './connect.ts'
import type { Grant } from './access.ts'
import { refresh } from './refresh.ts'
import { presence } from './presence.ts'
import { receipt } from './receipt.ts'
import { send } from './send.ts'
import type { Services } from './services.ts'
import type { Socket } from './socket.ts'
import { subscribe } from './subscribe.ts'
import { unsubscribe } from './unsubscribe.ts'
import { unwatch, watch } from './watch.ts'

/** Does what a frame asks for and answers it. A Refusal that it throws is told to the client. */
export type Op = (connection: Connection, frame: ClientFrame, services: Services) => Promise<void> | void

const OPS: ReadonlyMap<string, Op> = new Map<string, Op>([
  ['connect', connect],
  ['refresh', refresh],
  ['subscribe', subscribe],
  ['unsubscribe', unsubscribe],
  ['send', send],
  ['receipt', receipt],
  ['presence', presence],
  ['watch', watch],
  ['unwatch', unwatch],
])

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
  readonly #socket: Socket
  readonly #services: Services
  #identity: UserIdentity | undefined
  #closed = false
  #working: Promise<void> | undefined
  #waiting = 0
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
    if (this.#waiting === WAITING) return this.#refuseFrame(frame.id, 'too many frames are waiting', Infinity)
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

  /** Takes over what a token says: the first, or the one of a refresh. */
  authenticate(identity: UserIdentity): void {
    if (this.#identity === undefined) this.#accepted(identity)
    this.#identity = identity
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
    const before = this.#working
    let working: Promise<void> | undefined
    if (before === undefined) working = this.#work(frame)
    else {
      this.#waiting++
      working = before.then(() => {
        this.#waiting--
        return this.#work(frame)
      })
    }
    if (working === undefined) return
    const done = working.then(() => {
      if (this.#working === done) this.#working = undefined
    })
    this.#working = done
  }

  #work(frame: ClientFrame): Promise<void> | undefined {
    if (this.#closed) return undefined
    try {
      return this.#dispatch(frame)?.catch((error: unknown) => this.#failed(error, frame))
    } catch (error) {
      this.#failed(error, frame)
      return undefined
    }
  }

  #dispatch(frame: ClientFrame): Promise<void> | undefined {
    const op = OPS.get(frame.op)
    const first = this.#identity === undefined
    if (first && op !== connect) throw new Refusal('connect_first')
    if (!first && op === connect) throw new Refusal('bad_frame', 'a second connect')
    if (op === undefined) throw new Refusal('unknown_op', `known are ${[...OPS.keys()].join(', ')}`)
    return op(this, frame, this.#services) ?? undefined
  }

  #failed(error: unknown, { op, id }: ClientFrame): void {
    if (error instanceof Refusal) return this.refuse(error, id)
    this.#services.log.error({ connection: this.id, op, ...errorFacts(error) }, 'an op failed')
    this.refuse(new Refusal('internal'), id)
  }
}
