import { every, type Cancel, type Clock } from '../lib/clock.ts'
import type { TokenBucket } from '../lib/token-bucket.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { SiteId, UserId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import { Addresses, type AddressLimits } from './addresses.ts'
import type { UsageShare } from './share.ts'
import { type LimitedSite, SiteUsage } from './usage.ts'

export interface LimitsOptions {
  /** A steady one. */
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  readonly addresses: AddressLimits
  /** How nodes tell each other what a site uses; without it each node knows its own part. */
  readonly share?: UsageShare | undefined
}

/** Seconds. A place becomes free when somebody leaves, and who knows when that is. */
const CONNECT_AGAIN = 30

/**
 * What sites and addresses use of this node, against what they may. A site's limits are for the whole cluster: nodes that
 * use a good part of one tell each other once a second (share.ts), so nothing here waits for anybody, and what is let
 * through lags behind by about a second.
 */
export class Limits {
  readonly addresses: Addresses
  readonly #options: LimitsOptions
  // Only sites that have a connection here, or that published more than has come back since.
  readonly #sites = new Map<SiteId, SiteUsage>()
  readonly #cancel: Cancel
  /** How many of them have a limit on deliveries: when none has, an event costs nothing here. */
  #limitingDeliveries = 0

  constructor(options: LimitsOptions) {
    this.#options = options
    this.addresses = new Addresses(options.addresses, options.clock, options.metrics, options.log)
    this.#cancel = every(1000, () => this.#sweep())
  }

  /** The number of sites that are kept in mind. */
  get size(): number {
    return this.#sites.size
  }

  /** Counts a connection, or throws `connection_limit`. Call `disconnect` once for each that was counted. */
  connect(site: LimitedSite, user: UserId): void {
    const usage = this.#usage(site)
    const fault = usage.refusesConnection(user)
    if (fault !== undefined) {
      this.#options.metrics.rateLimited(fault, site.id)
      const most = fault === 'connections' ? site.limits.connections : site.limits.connectionsPerUser
      const whose = fault === 'connections' ? 'the site' : 'one user'
      throw new Refusal('connection_limit', `${most} for ${whose}`, { retryAfter: CONNECT_AGAIN, site: site.id })
    }
    usage.connect(user)
  }

  disconnect(site: SiteId, user: UserId): void {
    this.#sites.get(site)?.disconnect(user)
  }

  /** Counts an event that a site publishes, or throws `rate_limited` when it has published, or was delivered, too much. */
  publish(site: LimitedSite): void {
    const { publishesPerSecond, deliveriesPerSecond } = site.limits
    if (publishesPerSecond === Infinity && deliveriesPerSecond === Infinity) return
    const usage = this.#usage(site)
    const now = this.#options.clock.now()
    usage.asked(1)
    this.#refuse(site.id, 'publishes', usage.publishes, publishesPerSecond, now)
    this.#refuse(site.id, 'deliveries', usage.deliveries, deliveriesPerSecond, now)
    usage.published(1, now)
  }

  /** Counts `more` events that came in the same call: they are let through, and the site waits the longer for the next. */
  publishMore(site: LimitedSite, more: number): void {
    const usage = this.#sites.get(site.id)
    usage?.asked(more)
    usage?.published(more, this.#options.clock.now())
  }

  /** Counts an event that was handed to `sockets` sockets of this node. */
  delivered(topic: Topic, sockets: number): void {
    if (this.#limitingDeliveries === 0) return
    const site = topic.slice(0, topic.indexOf('/')) as SiteId
    this.#sites.get(site)?.delivered(sockets, this.#options.clock.now())
  }

  /** To be called when a `send` was refused. */
  refusedSend(site: SiteId): void {
    this.#options.metrics.rateLimited('sends', site)
  }

  close(): void {
    this.#cancel()
  }

  #refuse(site: SiteId, kind: 'publishes' | 'deliveries', bucket: TokenBucket, perSecond: number, now: number): void {
    const seconds = perSecond === Infinity ? 0 : bucket.wait(now, perSecond, perSecond)
    if (seconds === 0) return
    this.#options.metrics.rateLimited(kind, site)
    throw new Refusal('rate_limited', `${perSecond} ${kind} per second`, { retryAfter: Math.ceil(seconds) })
  }

  /** Returns what a site uses, with its limits as they are now. */
  #usage(site: LimitedSite): SiteUsage {
    let usage = this.#sites.get(site.id)
    if (usage === undefined) {
      usage = new SiteUsage(site)
      this.#sites.set(site.id, usage)
      this.#limitingDeliveries += usage.limitsDeliveries
    } else if (usage.site !== site) {
      this.#limitingDeliveries -= usage.limitsDeliveries
      usage.site = site
      this.#limitingDeliveries += usage.limitsDeliveries
    }
    return usage
  }

  #sweep(): void {
    const { clock, share } = this.#options
    const now = clock.now()
    this.addresses.sweep(now)
    for (const [id, usage] of this.#sites) {
      if (usage.isIdle(now)) {
        this.#sites.delete(id)
        this.#limitingDeliveries -= usage.limitsDeliveries
      } else void usage.exchange(share, clock)
    }
  }
}
