import { groupBy } from '../lib/arrays.ts'
import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { type Entry, MOST, type PresenceStore, type Present, type Snapshot, type StoreListener } from './store.ts'

interface Place {
  version: number
  readonly members: Map<UserId, Present>
}

/** The presence of one process. */
export class MemoryPresence implements PresenceStore {
  readonly #places = new Map<Topic, Place>()
  #listener: StoreListener | undefined
  // One for all topics, so that one which was empty does not begin anew.
  #version = 0

  listen(listener: StoreListener): void {
    this.#listener = listener
  }

  async set(entries: readonly Entry[]): Promise<void> {
    for (const [topic, there] of groupBy(entries, entry => entry.topic)) this.#set(topic, there)
  }

  async read(topics: readonly Topic[]): Promise<Snapshot[]> {
    return topics.map(topic => {
      const { version, members } = this.#places.get(topic) ?? { version: 0, members: new Map<UserId, Present>() }
      const listed = members.size > MOST ? undefined : [...members.values()]
      return { version, count: members.size, members: listed }
    })
  }

  async close(): Promise<void> {
    this.#listener = undefined
  }

  #set(topic: Topic, entries: readonly Entry[]): void {
    const place = this.#places.get(topic) ?? { version: 0, members: new Map<UserId, Present>() }
    const present: Present[] = []
    const left: UserId[] = []
    for (const { user, connections, info } of entries) {
      const before = place.members.get(user)
      if (connections === (before?.connections ?? 0)) continue
      if (connections === 0) {
        place.members.delete(user)
        left.push(user)
        continue
      }
      const now = { user, info: info ?? before?.info, connections }
      place.members.set(user, now)
      present.push(now)
    }
    if (place.members.size === 0) this.#places.delete(topic)
    else this.#places.set(topic, place)
    if (present.length + left.length === 0) return
    const prev = place.version
    place.version = ++this.#version
    const count = place.members.size
    const names = count > MOST ? { present: undefined, left: undefined } : { present, left }
    this.#listener?.changed(topic, { version: place.version, prev, count, ...names })
  }
}
