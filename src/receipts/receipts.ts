import { type Cancel, type Clock, every } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics, ReceiptFault } from '../observe/metrics.ts'
import { deliveredFrame } from '../protocol/encode.ts'
import type { EventId, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { type ReturnAddress, seal, type SealKey, unseal } from './seal.ts'
import { RECEIPT_TTL, type ReceiptStore } from './store.ts'

export interface ReceiptsOptions {
  readonly store: ReceiptStore
  readonly newEventId: () => EventId
  /** Is told which events a user has got: each once, or again when it is not known whether it was told. */
  readonly delivered: (site: SiteId, thread: ThreadId | undefined, user: UserId, events: readonly EventId[]) => void
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
}

/** Milliseconds for which receipts are gathered, and how many go into one frame (CONTRACT 22). */
const COALESCE = 250
const MOST = 100
/** Receipts that may wait while Redis is away; more are dropped, since nobody promised them. */
const WAITING = 10_000

interface Batch {
  readonly site: SiteId
  readonly to: UserId
  readonly thread: ThreadId | undefined
  readonly user: UserId
  readonly events: Map<EventId, number>
  /** Some of it may have counted already, without anybody having been told. */
  unsure: boolean
}

/** Delivery receipts without storage: an event carries a sealed return address, and whoever has got it sends it back. */
export class Receipts {
  readonly #options: ReceiptsOptions
  readonly #cancel: Cancel
  #batches = new Map<string, Batch>()
  #waiting = 0
  #delivering = false

  constructor(options: ReceiptsOptions) {
    this.#options = options
    this.#cancel = every(COALESCE, () => void this.#deliver())
  }

  /** Returns what an event is to carry. Rejects with `bus_down`. */
  async seal(address: Omit<ReturnAddress, 'expires'>): Promise<string> {
    const expires = Math.floor(this.#options.clock.now() / 1000) + RECEIPT_TTL
    const [key] = await this.#keys()
    return seal({ ...address, expires }, key)
  }

  /** Takes what a user of a site gives back. What is no good is counted, and nobody is told. */
  async confirm(site: SiteId, user: UserId, receipts: readonly string[]): Promise<void> {
    const keys = await this.#keys()
    for (const receipt of receipts) {
      const address = open(receipt, keys)
      const fault = this.#fault(address, site)
      if (address === undefined || fault !== undefined) this.#options.metrics.receiptRefused(fault ?? 'forged')
      // The sender's own tabs get the event as well; that tells the sender nothing.
      else if (address.to !== user) this.#add(address, user)
    }
  }

  async close(): Promise<void> {
    this.#cancel()
    await this.#deliver()
  }

  #fault(address: ReturnAddress | undefined, site: SiteId): ReceiptFault | undefined {
    if (address === undefined) return 'forged'
    if (address.site !== site) return 'foreign'
    return address.expires * 1000 < this.#options.clock.now() ? 'expired' : undefined
  }

  #add({ site, to, thread, event, expires }: ReturnAddress, user: UserId, unsure = false): void {
    if (this.#waiting === WAITING) return
    const name = `${site} ${to} ${user} ${thread ?? ''}`
    let batch = this.#batches.get(name)
    if (batch === undefined) {
      batch = { site, to, thread, user, events: new Map(), unsure }
      this.#batches.set(name, batch)
    }
    batch.unsure ||= unsure
    if (batch.events.has(event)) return
    batch.events.set(event, expires)
    this.#waiting++
  }

  async #deliver(): Promise<void> {
    if (this.#delivering || this.#batches.size === 0) return
    this.#delivering = true
    const batches = this.#batches
    this.#batches = new Map()
    this.#waiting = 0
    await Promise.all([...batches.values()].map(batch => this.#deliverBatch(batch)))
    this.#delivering = false
  }

  async #deliverBatch({ site, to, thread, user, events, unsure }: Batch): Promise<void> {
    const { store, newEventId, delivered, clock, log } = this.#options
    const all = [...events]
    for (let start = 0; start < all.length; start += MOST) {
      const part = all.slice(start, start + MOST)
      const frame = deliveredFrame(newEventId(), thread, clock.now(), user)
      try {
        const counted = await store.deliver({ site, to, thread, user, events: new Map(part), frame })
        delivered(site, thread, user, unsure ? part.map(([event]) => event) : counted)
      } catch (error) {
        log.debug({ error: errorFacts(error).error }, 'receipts could not be delivered')
        for (const [event, expires] of part) this.#add({ site, to, thread, event, expires }, user, true)
      }
    }
  }

  async #keys(): Promise<readonly [SealKey, ...SealKey[]]> {
    try {
      return await this.#options.store.keys()
    } catch (error) {
      this.#options.log.debug({ error: errorFacts(error).error }, 'the key of receipts could not be read')
      throw new Refusal('bus_down', undefined, { retryAfter: 2 })
    }
  }
}

function open(receipt: string, keys: readonly SealKey[]): ReturnAddress | undefined {
  for (const key of keys) {
    const address = unseal(receipt, key)
    if (address !== undefined) return address
  }
  return undefined
}
