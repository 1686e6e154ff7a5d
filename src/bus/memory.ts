import { every, nowMicros } from '../lib/clock.ts'
import { HEAD_TTL } from '../protocol/chain.ts'
import { writeFrame } from '../protocol/encode.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Bus, BusListener, Known, Placed, Publication, Recipients } from './bus.ts'
import { afterNotice, type Notice, REVOCATION_TTL, type Revocations } from './notice.ts'

const HEAD_TTL_MICROS = HEAD_TTL * 1e6
const ID_TTL = 5 * 60 * 1e6

interface Seen {
  readonly stamp: number
  readonly until: number
}

interface Taken {
  readonly revocations: Revocations
  readonly until: number
}

/** A bus of one process. Stamping and delivering are one synchronous step, so nothing can come between. */
export class MemoryBus implements Bus {
  readonly up = true
  readonly #era = nowMicros()
  readonly #listening = new Set<Topic>()
  /** The newest stamp of each chain, in an object that stays: a new number in the map would be garbage for each event. */
  readonly #heads = new Map<Topic, { stamp: number }>()
  // These two keep their entries in the order of their last writing, so what is out of date stands at the front.
  readonly #seen = new Map<string, Seen>()
  readonly #taken = new Map<Topic, Taken>()
  readonly #timers = [
    every(60_000, () => this.#forget(nowMicros())),
    every(3600_000, () => this.#forgetHeads(nowMicros())),
  ]
  #listener: BusListener | undefined

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  observe(): void {
    // The presence of one process needs no bus, and this one neither fails nor forgets.
  }

  publish(publication: Publication): Placed[] {
    const now = nowMicros()
    return publication.topics.map(topic => this.#place(topic, publication, now))
  }

  async subscribe(topics: readonly Topic[]): Promise<Known[]> {
    for (const topic of topics) this.#listening.add(topic)
    return this.read(topics)
  }

  async read(topics: readonly Topic[]): Promise<Known[]> {
    return topics.map(topic => ({ head: this.#head(topic), revocations: this.#taken.get(topic)?.revocations }))
  }

  async gap(topics: readonly Topic[]): Promise<void> {
    const now = nowMicros()
    for (const topic of topics) {
      const stamp = this.#advance(topic, now)
      if (this.#listening.has(topic)) this.#listener?.gap(topic, stamp)
    }
  }

  async notify(topic: Topic, notice: Notice): Promise<void> {
    const now = nowMicros()
    const at = Math.floor(now / 1e6)
    const revocations = afterNotice(this.#taken.get(topic)?.revocations, notice, at)
    this.#taken.delete(topic)
    if (revocations !== undefined) this.#taken.set(topic, { revocations, until: now + REVOCATION_TTL * 1e6 })
    if (this.#listening.has(topic)) this.#listener?.notice(topic, notice, at)
  }

  async send(topic: Topic, frame: Buffer, to: Recipients): Promise<void> {
    if (!this.#listening.has(topic)) return
    if ('user' in to || 'connection' in to) this.#listener?.direct(topic, frame, to)
    else this.#listener?.deliver({ topic, stamp: 0, except: to.except, frame })
  }

  unsubscribe(topics: readonly Topic[]): void {
    for (const topic of topics) this.#listening.delete(topic)
  }

  eraStart(): number {
    return this.#era
  }

  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel()
    this.#listener = undefined
  }

  #place(topic: Topic, { frame, id, ephemeral, except }: Publication, now: number): Placed {
    const key = id === undefined ? undefined : `${topic} ${id}`
    const seen = key === undefined ? undefined : this.#seen.get(key)
    if (seen !== undefined && seen.until > now) return { stamp: seen.stamp, duplicate: true }
    const prev = this.#head(topic)
    const stamp = ephemeral ? 0 : this.#advance(topic, now)
    if (key !== undefined) {
      this.#seen.delete(key)
      this.#seen.set(key, { stamp, until: now + ID_TTL })
    }
    if (this.#listening.has(topic)) {
      this.#listener?.deliver({ topic, stamp, except, frame: writeFrame(frame, stamp, prev) })
    }
    return { stamp, duplicate: false }
  }

  /** Gives the next place in a chain. */
  #advance(topic: Topic, now: number): number {
    const head = this.#heads.get(topic)
    const stamp = Math.max(now, (head?.stamp ?? this.#era) + 1)
    if (head === undefined) this.#heads.set(topic, { stamp })
    else head.stamp = stamp
    return stamp
  }

  #head(topic: Topic): number {
    return this.#heads.get(topic)?.stamp ?? this.#era
  }

  #forget(now: number): void {
    for (const [key, { until }] of this.#seen) {
      if (until > now) break
      this.#seen.delete(key)
    }
    for (const [topic, { until }] of this.#taken) {
      if (until > now) break
      this.#taken.delete(topic)
    }
  }

  /** Looks at all of them, and so does it seldom. */
  #forgetHeads(now: number): void {
    for (const [topic, { stamp }] of this.#heads) if (stamp + HEAD_TTL_MICROS <= now) this.#heads.delete(topic)
  }
}
