import { groupBy } from '../lib/arrays.ts'
import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { Infos } from './infos.ts'
import { connectionsOf, countOf, list, type Members, NOBODY, withConnections } from './members.ts'
import { type Entry, MOST, type PresenceStore, type Present, type Snapshot, type StoreListener } from './store.ts'

/** The presence of one process. */
export class MemoryPresence implements PresenceStore {
  readonly #places = new Map<Topic, Members>()
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
      const members = this.#places.get(topic) ?? NOBODY
      const count = countOf(members)
      return { version: this.#version, count, members: count > MOST ? undefined : this.#present(topic, members) }
    })
  }

  async close(): Promise<void> {
    this.#listener = undefined
  }

  #present(topic: Topic, members: Members): Present[] {
    return [...list(members)].map(([user, connections]) => {
      return { user, connections, info: this.#infos.get(topic, user) }
    })
  }

  #set(topic: Topic, entries: readonly Entry[]): void {
    let members = this.#places.get(topic) ?? NOBODY
    const present: Present[] = []
    const left: UserId[] = []
    for (const { user, connections, info } of entries) {
      if (connections > 0 && info !== undefined) this.#infos.set(topic, user, info)
      if (connections === connectionsOf(members, user)) continue
      members = withConnections(members, user, connections)
      if (connections > 0) present.push({ user, connections, info: this.#infos.get(topic, user) })
      else {
        this.#infos.delete(topic, user)
        left.push(user)
      }
    }
    const count = countOf(members)
    if (count === 0) this.#places.delete(topic)
    else this.#places.set(topic, members)
    if (present.length + left.length === 0) return
    const names = count > MOST ? { present: undefined, left: undefined } : { present, left }
    this.#listener?.changed(topic, { version: ++this.#version, prev: undefined, count, ...names })
  }
}
