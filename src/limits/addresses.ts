import type { Clock } from '../lib/clock.ts'
import { TokenBucket } from '../lib/token-bucket.ts'
import type { Log } from '../observe/log.ts'
import type { LimitKind, Metrics } from '../observe/metrics.ts'

export interface AddressLimits {
  readonly attemptsPerSecond: number
  readonly unauthenticated: number
}

/** Where a socket comes from. */
export interface Peer {
  /** For the log. */
  readonly address: string
  /** What its attempts are counted under; undefined for one that is not limited. */
  readonly network: string | undefined
}

/** Seconds of attempts that may come at once. */
const BURST_SECONDS = 10
/** Whoever has this many networks is not stopped by counting each: newcomers are then let in uncounted. */
const MOST_NETWORKS = 100_000
const UNAUTHENTICATED_AGAIN = 1

/** What each network does before anybody knows who it is: attempts, and sockets that have not said who they are. */
export class Addresses {
  readonly #limits: AddressLimits
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #log: Log
  readonly #networks = new Map<string, Network>()

  constructor(limits: AddressLimits, clock: Clock, metrics: Metrics, log: Log) {
    this.#limits = limits
    this.#clock = clock
    this.#metrics = metrics
    this.#log = log
  }

  get size(): number {
    return this.#networks.size
  }

  /** Counts an attempt to open a socket and returns 0, or in how many seconds to try again. */
  attempt(peer: Peer): number {
    const name = peer.network
    if (name === undefined) return 0
    let network = this.#networks.get(name)
    if (network === undefined) {
      if (this.#networks.size >= MOST_NETWORKS) return 0
      network = new Network()
      this.#networks.set(name, network)
    }
    const { attemptsPerSecond, unauthenticated } = this.#limits
    const now = this.#clock.now()
    const wait = network.attempts.wait(now, attemptsPerSecond, attemptsPerSecond * BURST_SECONDS)
    if (wait > 0) return this.#refuse(peer, 'attempts', Math.ceil(wait))
    network.attempts.take(1, now, attemptsPerSecond)
    if (network.unauthenticated < unauthenticated) return 0
    return this.#refuse(peer, 'unauthenticated', UNAUTHENTICATED_AGAIN)
  }

  /** Counts a socket that has not said who it is, until `settled` is called for it. */
  opened({ network }: Peer): void {
    const found = network === undefined ? undefined : this.#networks.get(network)
    if (found !== undefined) found.unauthenticated++
  }

  settled({ network }: Peer): void {
    const found = network === undefined ? undefined : this.#networks.get(network)
    // One that came when there were too many to count may have been followed by others that were counted.
    if (found !== undefined && found.unauthenticated > 0) found.unauthenticated--
  }

  /** Forgets the networks that have done nothing lately. */
  sweep(now: number): void {
    for (const [name, { attempts, unauthenticated }] of this.#networks) {
      if (unauthenticated === 0 && attempts.isFull(now)) this.#networks.delete(name)
    }
  }

  #refuse({ address }: Peer, kind: LimitKind, seconds: number): number {
    this.#metrics.rateLimited(kind)
    this.#log.debug({ address, kind }, 'refused')
    return seconds
  }
}

class Network {
  readonly attempts = new TokenBucket()
  unauthenticated = 0
}
