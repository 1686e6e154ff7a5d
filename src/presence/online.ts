import { type Topic, userOfOnline } from '../protocol/topic.ts'
import type { Entry } from './store.ts'

/** Who is online by this node's connections, and what of it the store has not yet been told. Pure. */
export class Online {
  /** Connections by user. One in grace has none. */
  readonly #connections = new Map<Topic, number>()
  // Until when users without a connection are still online, in milliseconds; in this order, since grace has one length.
  readonly #graces = new Map<Topic, number>()
  #untold = new Set<Topic>()

  connected(topic: Topic): void {
    const before = this.#connections.get(topic)
    this.#connections.set(topic, (before ?? 0) + 1)
    this.#graces.delete(topic)
    if (before === undefined) this.#untold.add(topic)
  }

  /** One connection less; after the last one the user is online until `graceUntil`. */
  disconnected(topic: Topic, graceUntil: number): void {
    const before = this.#connections.get(topic) ?? 0
    if (before === 0) return
    this.#connections.set(topic, before - 1)
    if (before === 1) this.#graces.set(topic, graceUntil)
  }

  /** Ends the graces that are over. */
  sweep(now: number): void {
    for (const [topic, until] of this.#graces) {
      if (until > now) break
      this.#graces.delete(topic)
      this.#connections.delete(topic)
      this.#untold.add(topic)
    }
  }

  /** Counts everything at these topics as untold. */
  forget(concerns: (topic: Topic) => boolean): void {
    for (const topic of this.#connections.keys()) if (concerns(topic)) this.#untold.add(topic)
  }

  /** Returns some of what the store has not been told, and counts it as told. */
  takeUntold(most = Infinity): Entry[] {
    const entries: Entry[] = []
    for (const topic of this.#untold) {
      if (entries.length === most) break
      this.#untold.delete(topic)
      const connections = this.#connections.has(topic) ? 1 : 0
      entries.push({ topic, user: userOfOnline(topic)!, connections, info: undefined })
    }
    return entries
  }

  /** Counts entries as untold again. */
  giveBack(entries: readonly Entry[]): void {
    for (const { topic } of entries) this.#untold.add(topic)
  }
}
