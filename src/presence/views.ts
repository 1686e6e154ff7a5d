import { chunks } from '../lib/arrays.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Change, PresenceStore, Snapshot } from './store.ts'
import { type Difference, View } from './view.ts'

/** Milliseconds after a loss until the store is read again: until then the other nodes set what they have. */
const HOLD = 3000
const BATCH = 500
const NOTHING: Snapshot = { version: 0, count: 0, members: [] }

/** The topics that clients of this node look at. */
export class Views {
  readonly #store: PresenceStore
  readonly #views = new Map<Topic, View>()
  // Topics that are being read for the first time, with the newest version heard of meanwhile.
  readonly #opening = new Map<Topic, { readonly done: Promise<void>; newest: number }>()
  readonly #stale = new Set<Topic>()
  #holdUntil = 0
  #reading = false

  constructor(store: PresenceStore) {
    this.#store = store
  }

  get(topic: Topic): View | undefined {
    return this.#views.get(topic)
  }

  /**
   * Resolves when all topics have a view. They must be followed on the bus. One that cannot be read now begins empty: what
   * is there is told as a change, when it can be read.
   */
  async open(topics: readonly Topic[]): Promise<void> {
    const fresh = topics.filter(topic => !this.#views.has(topic) && !this.#opening.has(topic))
    if (fresh.length > 0) {
      const done = this.#open(fresh)
      for (const topic of fresh) this.#opening.set(topic, { done, newest: 0 })
    }
    await Promise.all(topics.map(async topic => this.#opening.get(topic)?.done))
  }

  /** Lets go of topics that are followed no more. */
  close(topics: readonly Topic[]): void {
    for (const topic of topics) {
      this.#views.delete(topic)
      this.#stale.delete(topic)
    }
  }

  changed(topic: Topic, change: Change): void {
    const view = this.#views.get(topic)
    if (view !== undefined) {
      if (!view.apply(change)) this.#stale.add(topic)
      return
    }
    const opening = this.#opening.get(topic)
    if (opening !== undefined) opening.newest = Math.max(opening.newest, change.version)
  }

  /** To be called when changes were missed, or the store has forgotten. `now` is in milliseconds. */
  lost(concerns: (topic: Topic) => boolean, now: number): void {
    for (const topic of this.#views.keys()) if (concerns(topic)) this.#stale.add(topic)
    this.#holdUntil = now + HOLD
  }

  /** Returns what clients have not yet been told. */
  differences(): [Topic, Difference][] {
    const found: [Topic, Difference][] = []
    for (const [topic, view] of this.#views) {
      const difference = view.difference()
      if (difference !== undefined) found.push([topic, difference])
    }
    return found
  }

  /** Reads again what is stale. Rejects when it cannot be read; it stays stale then. */
  async refresh(now: number): Promise<void> {
    if (this.#reading || this.#stale.size === 0 || now < this.#holdUntil) return
    this.#reading = true
    try {
      for (const topics of chunks([...this.#stale], BATCH)) {
        const snapshots = await this.#store.read(topics)
        for (const [i, topic] of topics.entries()) this.#replace(topic, snapshots[i]!)
      }
    } finally {
      this.#reading = false
    }
  }

  // A change that came while the snapshot was being read, and did not fit, makes it stale once more.
  #replace(topic: Topic, snapshot: Snapshot): void {
    this.#stale.delete(topic)
    this.#views.get(topic)?.replace(snapshot)
  }

  async #open(topics: readonly Topic[]): Promise<void> {
    // After this tick, so that `opening` knows the topics.
    await Promise.resolve()
    const snapshots = await this.#store.read(topics).catch(() => undefined)
    for (const [i, topic] of topics.entries()) {
      const snapshot = snapshots?.[i] ?? NOTHING
      this.#views.set(topic, new View(snapshot))
      if (snapshots === undefined || this.#opening.get(topic)!.newest > snapshot.version) this.#stale.add(topic)
      this.#opening.delete(topic)
    }
  }
}
