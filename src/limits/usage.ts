import type { Clock } from '../lib/clock.ts'
import { TokenBucket } from '../lib/token-bucket.ts'
import type { SiteId, UserId } from '../protocol/ids.ts'
import type { Usage, UsageShare } from './share.ts'

/** A site as its limits see it. Infinity means that there is no limit. */
export interface LimitedSite {
  readonly id: SiteId
  readonly limits: {
    readonly connections: number
    readonly connectionsPerUser: number
    readonly publishesPerSecond: number
    readonly deliveriesPerSecond: number
  }
}

/** A node that uses less than this part of every limit of a site keeps it to itself: most sites cost no Redis command. */
const PART = 1 / 16
/** Milliseconds that a node goes on telling after it has used that much. */
const GO_ON = 5000
/** Users that one message tells of, those with the most connections first. */
const USERS = 200

/** What one site uses on this node, and what other nodes told of it. */
export class SiteUsage {
  site: LimitedSite
  readonly publishes = new TokenBucket()
  readonly deliveries = new TokenBucket()
  #connections = 0
  readonly #users = new Map<UserId, number>()
  /** Those of them that use a good part of their limit. */
  readonly #heavy = new Set<UserId>()
  #published = 0
  #delivered = 0
  /** Events asked for, and deliveries made, since the last exchange. */
  #askedLately = 0
  #deliveredLately = 0
  #exchangeUntil = 0
  #exchanging = false
  #others: ReadonlyMap<string, Usage> = NOBODY
  #othersConnections = 0
  #othersUsers: ReadonlyMap<UserId, number> = new Map()

  constructor(site: LimitedSite) {
    this.site = site
  }

  /** 1 or 0, to be added up. */
  get limitsDeliveries(): number {
    return this.site.limits.deliveriesPerSecond === Infinity ? 0 : 1
  }

  /** Names the limit that one more connection would go over. */
  refusesConnection(user: UserId): 'connections' | 'user_connections' | undefined {
    const { connections, connectionsPerUser } = this.site.limits
    if (this.#connections + this.#othersConnections >= connections) return 'connections'
    const ofUser = (this.#users.get(user) ?? 0) + (this.#othersUsers.get(user) ?? 0)
    return ofUser >= connectionsPerUser ? 'user_connections' : undefined
  }

  connect(user: UserId): void {
    this.#connections++
    this.#countUser(user, (this.#users.get(user) ?? 0) + 1)
  }

  disconnect(user: UserId): void {
    this.#connections--
    this.#countUser(user, (this.#users.get(user) ?? 0) - 1)
  }

  /** Takes note that events were to be published, whether they were let through or not. */
  asked(events: number): void {
    this.#askedLately += events
  }

  published(events: number, now: number): void {
    this.#published += events
    const { publishesPerSecond } = this.site.limits
    if (publishesPerSecond !== Infinity) this.publishes.take(events, now, publishesPerSecond)
  }

  delivered(sockets: number, now: number): void {
    this.#delivered += sockets
    this.#deliveredLately += sockets
    const { deliveriesPerSecond } = this.site.limits
    if (deliveriesPerSecond !== Infinity) this.deliveries.take(sockets, now, deliveriesPerSecond)
  }

  /** Whether nothing would be lost by forgetting this. */
  isIdle(now: number): boolean {
    return (
      this.#connections === 0 &&
      this.#askedLately === 0 &&
      now >= this.#exchangeUntil &&
      this.publishes.isFull(now) &&
      this.deliveries.isFull(now)
    )
  }

  /** Tells the other nodes what this one uses, if that is much, and counts what they tell. To be called every second. */
  async exchange(share: UsageShare | undefined, clock: Clock): Promise<void> {
    const much = this.#usesMuch()
    this.#askedLately = 0
    this.#deliveredLately = 0
    if (share === undefined || this.#exchanging) return
    const now = clock.now()
    if (much) this.#exchangeUntil = now + GO_ON
    this.#exchanging = true
    try {
      this.#hear(now < this.#exchangeUntil ? await share.exchange(this.site.id, this.#own()) : NOBODY, clock)
    } catch {
      // The bus tells of it; until Redis is back each node knows its own part only.
      this.#hear(NOBODY, clock)
    } finally {
      this.#exchanging = false
    }
  }

  #usesMuch(): boolean {
    const { connections, publishesPerSecond, deliveriesPerSecond } = this.site.limits
    return (
      this.#connections > connections * PART ||
      this.#heavy.size > 0 ||
      this.#askedLately > publishesPerSecond * PART ||
      this.#deliveredLately > deliveriesPerSecond * PART ||
      // Who publishes has to know what others deliver.
      (this.#askedLately > 0 && deliveriesPerSecond !== Infinity)
    )
  }

  #own(): Usage {
    const users = [...this.#heavy].map(user => [user, this.#users.get(user)!] as const)
    return {
      connections: this.#connections,
      published: this.#published,
      delivered: this.#delivered,
      users: users.length <= USERS ? users : users.toSorted(([, a], [, b]) => b - a).slice(0, USERS),
    }
  }

  #hear(others: ReadonlyMap<string, Usage>, clock: Clock): void {
    if (others.size === 0 && this.#others.size === 0) return
    const now = clock.now()
    const { publishesPerSecond, deliveriesPerSecond } = this.site.limits
    const users = new Map<UserId, number>()
    this.#othersConnections = 0
    for (const [node, usage] of others) {
      this.#othersConnections += usage.connections
      for (const [user, count] of usage.users) users.set(user, (users.get(user) ?? 0) + count)
      // Nodes tell what they did in all, so that a message that was missed, or read twice, makes no difference.
      const before = this.#others.get(node) ?? usage
      if (publishesPerSecond !== Infinity) {
        this.publishes.take(Math.max(0, usage.published - before.published), now, publishesPerSecond)
      }
      if (deliveriesPerSecond !== Infinity) {
        this.deliveries.take(Math.max(0, usage.delivered - before.delivered), now, deliveriesPerSecond)
      }
    }
    this.#othersUsers = users
    this.#others = others
  }

  #countUser(user: UserId, count: number): void {
    if (count > 0) this.#users.set(user, count)
    else this.#users.delete(user)
    // One connection is no sign of anything, however low the limit.
    if (count > Math.max(1, this.site.limits.connectionsPerUser * PART)) this.#heavy.add(user)
    else this.#heavy.delete(user)
  }
}

const NOBODY: ReadonlyMap<string, Usage> = new Map()
