import { createHash, randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { EventId, UserId } from '../protocol/ids.ts'
import { userTopic } from '../protocol/topic.ts'
import type { Keys } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'
import type { SealKey } from './seal.ts'
import { type Delivered, RECEIPT_TTL, type ReceiptStore } from './store.ts'

/** Milliseconds after which the key is asked for again: Redis may have been emptied, and another node have made a new one. */
const KEY_AGE = 30_000
const HOUR = 3600

const KEY = loadScript('receipts/key')
const CONFIRM = loadScript('receipts/confirm')

/**
 * The receipts of a cluster. What stands in Redis is a number for each receipt that has counted, in a set per sender and
 * hour: that is 8 bytes each as long as a set is small.
 */
export class RedisReceipts implements ReceiptStore {
  readonly #link: RedisLink
  readonly #keys: Keys
  readonly #clock: Clock
  #known: SealKey[] = []
  #askedAt = 0

  constructor(link: RedisLink, keys: Keys, clock: Clock = systemClock) {
    this.#link = link
    this.#keys = keys
    this.#clock = clock
  }

  async keys(): Promise<readonly [SealKey, ...SealKey[]]> {
    const now = this.#clock.now()
    if (now - this.#askedAt > KEY_AGE || this.#known.length === 0) {
      const fresh = randomBytes(32).toString('base64')
      const key = Buffer.from((await this.#link.run(KEY, [this.#keys.sealKey()], [fresh])) as string, 'base64')
      this.#askedAt = now
      const [newest] = this.#known
      if (newest?.equals(key) !== true) this.#known = newest === undefined ? [key] : [key, newest]
    }
    return this.#known as [SealKey, ...SealKey[]]
  }

  async deliver({ site, to, user, events, frame }: Delivered): Promise<EventId[]> {
    const topic = userTopic(site, to)
    const now = Math.floor(this.#clock.now() / 1000)
    const names = [this.#keys.channel(topic)]
    const args: (string | number)[] = [this.#link.publishCommand, frame.before, frame.after]
    for (const [event, expires] of events) {
      // By the hour in which the receipt ends, so that it always finds the same set.
      const hour = Math.floor(expires / HOUR)
      names.push(this.#keys.told(topic, hour))
      args.push(event, numberOf(event, user), Math.min((hour + 1) * HOUR - now, RECEIPT_TTL + HOUR))
    }
    return (await this.#link.run(CONFIRM, names, args)) as EventId[]
  }
}

/** Returns a number that no other receipt of the sender has, as far as 48 bits can tell. */
function numberOf(event: EventId, user: UserId): number {
  return createHash('sha256').update(`${event} ${user}`).digest().readUIntBE(0, 6)
}
