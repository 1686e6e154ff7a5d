import { fullAfter, secondsToWait } from '../lib/token-bucket.ts'
import type { SiteId, UserId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Peer } from './addresses.ts'
import type { Limits } from './limits.ts'
import type { LimitedSite } from './usage.ts'

/** A frame counts once for each of these that it begins: what it costs grows with its size. */
const BYTES_PER_TOKEN = 4096

/** What one connection takes up: of its address until it is known who it is, then of its site and its user. */
export class Seat {
  readonly #limits: Limits
  #peer: Peer | undefined
  #site: SiteId | undefined
  #user: UserId | undefined
  #released = false
  /** When the bucket of its frames will be full. One number: there is a seat for each socket. */
  #full = 0
  /** The same for its `send` frames. */
  #sendFull = 0

  constructor(limits: Limits, peer: Peer) {
    this.#limits = limits
    this.#peer = peer
    limits.addresses.opened(peer)
  }

  /** Known as long as it is not known who it is. */
  get address(): string | undefined {
    return this.#peer?.address
  }

  /** Counts it for a user, instead of the one before if there was one. Throws `connection_limit`. */
  take(site: LimitedSite, user: UserId): void {
    if (this.#released) return
    this.#leave()
    this.#limits.connect(site, user)
    this.#site = site.id
    this.#user = user
  }

  /** To be called when it is known who it is: with the limits of its site it begins anew. */
  authenticated(): void {
    this.#full = 0
    this.#settle()
  }

  /** To be called when the socket has closed. */
  release(): void {
    this.#released = true
    this.#settle()
    this.#leave()
  }

  /**
   * Charges a frame and returns 0 when it may be worked on, else in how many seconds the next may be. Refused frames are
   * charged too: Infinity tells that a whole burst of them came without a pause, so that this is no client to talk to.
   */
  charge(bytes: number, perSecond: number, burst: number): number {
    const now = performance.now()
    const wait = secondsToWait(this.#full, now, perSecond, burst)
    this.#full = fullAfter(this.#full, Math.ceil(bytes / BYTES_PER_TOKEN), now, perSecond)
    const token = 1000 / perSecond
    if (wait > 0) {
      return this.#full > now + 2 * burst * token ? Infinity : secondsToWait(this.#full, now, perSecond, burst)
    }
    // A large frame that was let through is no flood.
    this.#full = Math.min(this.#full, now + (2 * burst - 1) * token)
    return 0
  }

  /** Charges a `send`. Throws `rate_limited`. */
  chargeSend(perSecond: number): void {
    const now = performance.now()
    const wait = secondsToWait(this.#sendFull, now, perSecond, perSecond)
    if (wait > 0) {
      this.#limits.refusedSend(this.#site!)
      throw new Refusal('rate_limited', `${perSecond} send per second`, { retryAfter: Math.ceil(wait) })
    }
    this.#sendFull = fullAfter(this.#sendFull, 1, now, perSecond)
  }

  #settle(): void {
    if (this.#peer !== undefined) this.#limits.addresses.settled(this.#peer)
    this.#peer = undefined
  }

  #leave(): void {
    if (this.#site !== undefined) this.#limits.disconnect(this.#site, this.#user!)
    this.#site = undefined
  }
}
