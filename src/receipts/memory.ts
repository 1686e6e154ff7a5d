import { randomBytes } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { systemClock } from '../lib/clock.ts'
import type { EventId } from '../protocol/ids.ts'
import { userTopic } from '../protocol/topic.ts'
import { type Delivered, RECEIPT_TTL, type ReceiptStore } from './store.ts'

/** The receipts of one process. */
export class MemoryReceipts implements ReceiptStore {
  readonly #bus: Bus
  readonly #key = randomBytes(32)
  // Two halves, so that what is out of date goes all at once: what was told lately, and before.
  #told = new Set<string>()
  #before = new Set<string>()
  #turnAt = 0

  constructor(bus: Bus) {
    this.#bus = bus
  }

  async keys(): Promise<readonly [Buffer]> {
    return [this.#key]
  }

  async deliver({ site, to, user, events, frame }: Delivered): Promise<EventId[]> {
    this.#turn(systemClock.now())
    const topic = userTopic(site, to)
    const fresh = [...events.keys()].filter(event => this.#isNew(`${topic} ${event} ${user}`))
    if (fresh.length > 0) {
      const ids = fresh.map(id => `"${id}"`).join()
      await this.#bus.send(topic, Buffer.from(frame.before + ids + frame.after), {})
    }
    return fresh
  }

  #isNew(name: string): boolean {
    if (this.#told.has(name) || this.#before.has(name)) return false
    this.#told.add(name)
    return true
  }

  #turn(now: number): void {
    if (now < this.#turnAt) return
    this.#before = this.#told
    this.#told = new Set()
    this.#turnAt = now + RECEIPT_TTL * 1000
  }
}
