import { every, nowMicros } from '../lib/clock.ts'
import { HEAD_TTL } from '../protocol/chain.ts'
import { PREV, type FramePieces } from '../protocol/encode.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Bus, BusListener, Placed, Publication } from './bus.ts'

const HEAD_TTL_MICROS = HEAD_TTL * 1e6
const ID_TTL = 5 * 60 * 1e6

interface Seen {
  readonly stamp: number
  readonly until: number
}

/** A bus of one process. Stamping and delivering are one synchronous step, so nothing can come between. */
export class MemoryBus implements Bus {
  readonly up = true
  readonly #era = nowMicros()
  readonly #listening = new Set<Topic>()
  // Both maps keep their entries in the order of their last writing, so what is out of date stands at the front.
  readonly #heads = new Map<Topic, number>()
  readonly #seen = new Map<string, Seen>()
  readonly #cancel = every(60_000, () => this.#forget(nowMicros()))
  #listener: BusListener | undefined

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  async publish(publication: Publication): Promise<Placed[]> {
    const now = nowMicros()
    return publication.topics.map(topic => this.#place(topic, publication, now))
  }

  async subscribe(topics: readonly Topic[]): Promise<number[]> {
    for (const topic of topics) this.#listening.add(topic)
    return this.heads(topics)
  }

  async heads(topics: readonly Topic[]): Promise<number[]> {
    return topics.map(topic => this.#heads.get(topic) ?? this.#era)
  }

  unsubscribe(topics: readonly Topic[]): void {
    for (const topic of topics) this.#listening.delete(topic)
  }

  eraStart(): number {
    return this.#era
  }

  async close(): Promise<void> {
    this.#cancel()
    this.#listener = undefined
  }

  #place(topic: Topic, { frame, id, ephemeral, except }: Publication, now: number): Placed {
    const key = id === undefined ? undefined : `${topic} ${id}`
    const seen = key === undefined ? undefined : this.#seen.get(key)
    if (seen !== undefined && seen.until > now) return { stamp: seen.stamp, duplicate: true }
    const prev = this.#heads.get(topic) ?? this.#era
    const stamp = ephemeral ? 0 : Math.max(now, prev + 1)
    if (!ephemeral) {
      this.#heads.delete(topic)
      this.#heads.set(topic, stamp)
    }
    if (key !== undefined) {
      this.#seen.delete(key)
      this.#seen.set(key, { stamp, until: now + ID_TTL })
    }
    if (this.#listening.has(topic)) {
      this.#listener?.deliver({ topic, stamp, except, frame: splice(frame, stamp, prev) })
    }
    return { stamp, duplicate: false }
  }

  #forget(now: number): void {
    for (const [key, { until }] of this.#seen) {
      if (until > now) break
      this.#seen.delete(key)
    }
    for (const [topic, head] of this.#heads) {
      if (head + HEAD_TTL_MICROS > now) break
      this.#heads.delete(topic)
    }
  }
}

function splice({ before, after }: FramePieces, stamp: number, prev: number): Buffer {
  const start = stamp === 0 ? before : `${before}${stamp}${PREV}${prev}`
  const frame = Buffer.allocUnsafe(start.length + after.length)
  frame.write(start, 'latin1')
  after.copy(frame, start.length)
  return frame
}
