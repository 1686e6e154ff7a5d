import { groupBy } from '../lib/arrays.ts'
import { nowMicros } from '../lib/clock.ts'
import { SmallMap } from '../lib/small-map.ts'
import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { Infos } from './infos.ts'
import { type Entry, MOST, type PresenceStore, type Present, type Snapshot, type StoreListener } from './store.ts'

/** The presence of one process. */
export class MemoryPresence implements PresenceStore {
  /** Connections by user. */
  readonly #places = new Map<Topic, SmallMap<UserId>>()
  readonly #infos = new Infos()
  #listener: StoreListener | undefined
  // One for all topics: there is nobody who could miss a change.
  #version = 0

  listen(listener: StoreListener): void {
    this.#listener = listener
  }

  async set(entries: readonly Entry[]): Promise<void> {
    for (const [topic, there] of groupBy(entries, entry => entry.topic)) this.#set(topic, there)
  }

  async read(topics: readonly Topic[]): Promise<Snapshot[]> {
    return topics.map(topic => {
      const users = this.#places.get(topic) ?? new SmallMap<UserId>()
      const members = users.size > MOST ? undefined : this.#present(topic, users)
      return { version: this.#version, count: users.size, members }
    })
  }

  async close(): Promise<void> {
    for (const topic of this.#places.keys()) this.#listener?.crossed(topic, false, this.#nextVersion())
    this.#listener = undefined
  }

  #present(topic: Topic, users: SmallMap<UserId>): Present[] {
    return [...users].map(([user, connections]) => {
      return { user, connections, info: this.#infos.get(topic, user) }
    })
  }

  #set(topic: Topic, entries: readonly Entry[]): void {
    const users = this.#places.get(topic) ?? new SmallMap<UserId>()
    const before = users.size
    const present: Present[] = []
    const left: UserId[] = []
    for (const { user, connections, info } of entries) {
      if (connections > 0 && info !== undefined) this.#infos.set(topic, user, info)
      if (connections === (users.get(user) ?? 0)) continue
      if (connections > 0) {
        users.set(user, connections)
        present.push({ user, connections, info: this.#infos.get(topic, user) })
      } else {
        users.delete(user)
        this.#infos.delete(topic, user)
        left.push(user)
      }
    }
    const count = users.size
    if (count === 0) this.#places.delete(topic)
    else this.#places.set(topic, users)
    if (present.length + left.length === 0) return
    const names = count > MOST ? { present: undefined, left: undefined } : { present, left }
    const version = this.#nextVersion()
    this.#listener?.changed(topic, { version, prev: undefined, count, ...names })
    if (before > 0 !== count > 0) this.#listener?.crossed(topic, count > 0, version)
  }

  /** Versions are times, for those who put changes of several topics in order. */
  #nextVersion(): number {
    this.#version = Math.max(nowMicros(), this.#version + 1)
    return this.#version
  }
}
