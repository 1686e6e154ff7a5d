import type { Bus, Known } from '../bus/bus.ts'
import { afterNotice, type Notice, type Revocations } from '../bus/notice.ts'
import { endOfTick } from '../lib/clock.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'

interface Joining {
  readonly done: Promise<void>
  /** The newest stamp that came before the head was read. */
  newest: number
}

/** Milliseconds that a chain is kept without a listener, so that a page reload costs the bus nothing. */
const PAUSE = 10_000

/**
 * The chains that this node follows, each with the last stamp that it forwarded. Who listens to them is in
 * uWebSockets' topic tree alone; this only asks it, before letting go.
 */
export class Chains {
  readonly #bus: Bus
  readonly #last = new Map<Topic, number>()
  readonly #revocations = new Map<Topic, Revocations>()
  readonly #joining = new Map<Topic, Joining>()
  // When each was last seen without a listener, oldest first.
  readonly #idle = new Map<Topic, number>()
  #batch: Topic[] = []
  #batchDone: Promise<void> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  get size(): number {
    return this.#last.size
  }

  topics(): IterableIterator<Topic> {
    return this.#last.keys()
  }

  /** The last stamp forwarded, or the head read if newer; 0 when neither is known. Undefined if the chain is not followed. */
  last(topic: Topic): number | undefined {
    return this.#last.get(topic)
  }

  /**
   * Follows chains: what is published to them once this resolves is delivered. Returns undefined when all were followed
   * already. What is asked for in one tick goes to the bus together.
   * Does not reject: while the bus is down the chain is followed from its return on.
   */
  follow(topics: readonly Topic[], now: number): Promise<unknown> | undefined {
    let wait: Promise<unknown> | undefined
    for (const topic of topics) {
      const followed = this.#last.has(topic)
      // Whoever follows may be gone before it subscribes; then the chain is let go of like any other. One with listeners is
      // not put down: a key that is taken out of a large Map and put back, again and again, makes each search for it longer.
      if (!this.#idle.delete(topic) && followed) continue
      this.#idle.set(topic, now)
      if (followed) continue
      const { done } = this.#joining.get(topic) ?? this.#join(topic)
      wait = wait === undefined || wait === done ? done : Promise.all([wait, done])
    }
    return wait
  }

  /** Returns what was taken back from the user whose chain it is, as far as is known. */
  revocations(topic: Topic): Revocations | undefined {
    return this.#revocations.get(topic)
  }

  /** Takes over what was read later of a chain that is followed. */
  take(topic: Topic, { head, revocations }: Known): void {
    if (head > (this.#last.get(topic) ?? head)) this.#last.set(topic, head)
    this.#revoke(topic, revocations)
  }

  /** Takes note of what was decided about the user whose chain it is. `at` is in seconds. */
  note(topic: Topic, notice: Notice, at: number): void {
    this.#revoke(topic, afterNotice(this.#revocations.get(topic), notice, at))
  }

  /** Takes note of an event and returns whether it is to be forwarded: never twice, and never before the head (CONTRACT 2). */
  advance(topic: Topic, stamp: number): boolean {
    const last = this.#last.get(topic)
    if (last === undefined) {
      const joining = this.#joining.get(topic)
      if (joining !== undefined && stamp > joining.newest) joining.newest = stamp
      return false
    }
    if (stamp <= last) return false
    this.#last.set(topic, stamp)
    return true
  }

  /** To be called when a topic lost its last listener, or gained its first. */
  listenersChanged(topic: Topic, count: number, now: number): void {
    this.#idle.delete(topic)
    if (count === 0 && this.#last.has(topic)) this.#idle.set(topic, now)
  }

  /** Lets go of the chains that have had no listener for a while, and returns them. */
  release(now: number, listeners: (topic: Topic) => number): Topic[] {
    const idle: Topic[] = []
    for (const [topic, since] of this.#idle) {
      if (since + PAUSE > now) break
      this.#idle.delete(topic)
      // Its bus is slow to answer: who waits for that may be gone by then.
      if (this.#joining.has(topic)) this.#idle.set(topic, now)
      if (listeners(topic) > 0 || !this.#last.delete(topic)) continue
      this.#revocations.delete(topic)
      idle.push(topic)
    }
    if (idle.length > 0) this.#bus.unsubscribe(idle)
    return idle
  }

  #join(topic: Topic): Joining {
    this.#batch.push(topic)
    this.#batchDone ??= endOfTick().then(() => this.#joinBatch())
    const joining = { done: this.#batchDone, newest: 0 }
    this.#joining.set(topic, joining)
    return joining
  }

  async #joinBatch(): Promise<void> {
    const topics = this.#batch
    this.#batch = []
    this.#batchDone = undefined
    let known: Known[] | undefined
    try {
      known = await this.#bus.subscribe(topics)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    } finally {
      for (const [i, topic] of topics.entries()) {
        this.#last.set(topic, Math.max(known?.[i]!.head ?? 0, this.#joining.get(topic)!.newest))
        if (known !== undefined) this.#revoke(topic, known[i]!.revocations)
        this.#joining.delete(topic)
      }
    }
  }

  #revoke(topic: Topic, revocations: Revocations | undefined): void {
    if (revocations === undefined) this.#revocations.delete(topic)
    else this.#revocations.set(topic, revocations)
  }
}
