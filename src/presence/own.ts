import { SmallMap } from '../lib/small-map.ts'
import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { Infos } from './infos.ts'
import type { Entry } from './store.ts'

/** Who is in which threads by this node's connections, and what of it the store has not yet been told. Pure. */
export class Own {
  /** Connections by user. */
  readonly #here = new Map<Topic, SmallMap<UserId>>()
  readonly #infos = new Infos()
  // Topics and users by turns, some of them more than once: in a storm of connections there are many for a moment.
  #untold: (Topic | UserId)[] = []
  #members = 0

  /** Users here, counted once for each topic. */
  get members(): number {
    return this.#members
  }

  join(topic: Topic, user: UserId, info: string | undefined): void {
    let users = this.#here.get(topic)
    if (users === undefined) {
      users = new SmallMap()
      this.#here.set(topic, users)
    }
    const before = users.get(user) ?? 0
    if (before === 0) this.#members++
    users.set(user, before + 1)
    if (info !== undefined) this.#infos.set(topic, user, info)
    this.#changed(topic, user)
  }

  leave(topic: Topic, user: UserId): void {
    const users = this.#here.get(topic)
    const before = users?.get(user)
    if (users === undefined || before === undefined) return
    if (before > 1) users.set(user, before - 1)
    else {
      users.delete(user)
      this.#members--
      this.#infos.delete(topic, user)
      if (users.size === 0) this.#here.delete(topic)
    }
    this.#changed(topic, user)
  }

  /** Counts everything at these topics as untold. */
  forget(concerns: (topic: Topic) => boolean): void {
    for (const [topic, users] of this.#here) {
      if (concerns(topic)) for (const user of users.keys()) this.#changed(topic, user)
    }
  }

  /** Returns some of what the store has not been told, and counts it as told. */
  takeUntold(most = Infinity): Entry[] {
    const untold = this.#untold.slice(0, 2 * most)
    this.#untold = this.#untold.slice(2 * most)
    const entries = new Map<string, Entry>()
    for (let i = 0; i < untold.length; i += 2) {
      const [topic, user] = [untold[i] as Topic, untold[i + 1] as UserId]
      const connections = this.#here.get(topic)?.get(user) ?? 0
      entries.set(`${topic} ${user}`, { topic, user, connections, info: this.#infos.get(topic, user) })
    }
    return [...entries.values()]
  }

  /** Counts entries as untold again. */
  giveBack(entries: readonly Entry[]): void {
    for (const { topic, user } of entries) this.#changed(topic, user)
  }

  #changed(topic: Topic, user: UserId): void {
    this.#untold.push(topic, user)
  }
}
