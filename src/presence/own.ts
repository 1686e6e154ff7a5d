import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { Infos } from './infos.ts'
import { connectionsOf, countOf, list, type Members, NOBODY, withConnections } from './members.ts'
import type { Entry } from './store.ts'

/** Who is in which threads by this node's connections, and what of it the store has not yet been told. Pure. */
export class Own {
  readonly #here = new Map<Topic, Members>()
  readonly #infos = new Infos()
  #untold = new Map<Topic, Set<UserId>>()
  #members = 0

  /** Users here, counted once for each topic. */
  get members(): number {
    return this.#members
  }

  join(topic: Topic, user: UserId, info: string | undefined): void {
    const members = this.#here.get(topic) ?? NOBODY
    const connections = connectionsOf(members, user)
    if (connections === 0) this.#members++
    this.#here.set(topic, withConnections(members, user, connections + 1))
    if (info !== undefined) this.#infos.set(topic, user, info)
    this.#changed(topic, user)
  }

  leave(topic: Topic, user: UserId): void {
    const members = this.#here.get(topic) ?? NOBODY
    const connections = connectionsOf(members, user)
    if (connections === 0) return
    const left = withConnections(members, user, connections - 1)
    if (connections === 1) {
      this.#members--
      this.#infos.delete(topic, user)
    }
    if (countOf(left) === 0) this.#here.delete(topic)
    else this.#here.set(topic, left)
    this.#changed(topic, user)
  }

  /** Counts everything at these topics as untold. */
  forget(concerns: (topic: Topic) => boolean): void {
    for (const [topic, members] of this.#here) {
      if (concerns(topic)) for (const [user] of list(members)) this.#changed(topic, user)
    }
  }

  /** Returns what the store has not been told, and counts it as told. */
  takeUntold(): Entry[] {
    const untold = this.#untold
    this.#untold = new Map()
    return [...untold].flatMap(([topic, users]) => {
      const members = this.#here.get(topic) ?? NOBODY
      return [...users].map(user => {
        return { topic, user, connections: connectionsOf(members, user), info: this.#infos.get(topic, user) }
      })
    })
  }

  /** Counts entries as untold again. */
  giveBack(entries: readonly Entry[]): void {
    for (const { topic, user } of entries) this.#changed(topic, user)
  }

  #changed(topic: Topic, user: UserId): void {
    const users = this.#untold.get(topic)
    if (users === undefined) this.#untold.set(topic, new Set([user]))
    else users.add(user)
  }
}
