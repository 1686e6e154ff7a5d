import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Entry } from './store.ts'

interface Here {
  connections: number
  info: string | undefined
  /** Until when a user without a connection is still shown, in milliseconds since the epoch. */
  graceUntil: number | undefined
}

interface Grace {
  readonly topic: Topic
  readonly user: UserId
  readonly until: number
}

/** Who is here on this node, and what of it the store has not yet been told. Knows no store and no clock. */
export class Own {
  readonly #here = new Map<Topic, Map<UserId, Here>>()
  #untold = new Map<Topic, Set<UserId>>()
  // In the order in which they end, since grace has one length.
  readonly #graces: Grace[] = []
  #members = 0

  /** Users here, counted once for each topic. */
  get members(): number {
    return this.#members
  }

  join(topic: Topic, user: UserId, info: string | undefined): void {
    let users = this.#here.get(topic)
    if (users === undefined) {
      users = new Map()
      this.#here.set(topic, users)
    }
    const here = users.get(user)
    if (here === undefined) {
      users.set(user, { connections: 1, info, graceUntil: undefined })
      this.#members++
    } else {
      here.connections++
      here.graceUntil = undefined
      if (info !== undefined) here.info = info
    }
    this.#changed(topic, user)
  }

  /** One connection less. With `graceUntil` the last one is counted until then. */
  leave(topic: Topic, user: UserId, graceUntil?: number): void {
    const here = this.#here.get(topic)?.get(user)
    if (here === undefined || here.connections === 0) return
    here.connections--
    if (here.connections > 0 || graceUntil === undefined) {
      if (here.connections === 0) this.#drop(topic, user)
      this.#changed(topic, user)
      return
    }
    here.graceUntil = graceUntil
    this.#graces.push({ topic, user, until: graceUntil })
  }

  /** Ends the graces that are over. */
  sweep(now: number): void {
    let over = 0
    for (const { topic, user, until } of this.#graces) {
      if (until > now) break
      over++
      if (this.#here.get(topic)?.get(user)?.graceUntil !== until) continue
      this.#drop(topic, user)
      this.#changed(topic, user)
    }
    if (over > 0) this.#graces.splice(0, over)
  }

  /** Counts everything at these topics as untold. */
  forget(concerns: (topic: Topic) => boolean): void {
    for (const [topic, users] of this.#here) {
      if (concerns(topic)) for (const user of users.keys()) this.#changed(topic, user)
    }
  }

  /** Returns what the store has not been told, and counts it as told. */
  takeUntold(): Entry[] {
    const untold = this.#untold
    this.#untold = new Map()
    const entries: Entry[] = []
    for (const [topic, users] of untold) {
      for (const user of users) {
        const here = this.#here.get(topic)?.get(user)
        // In its grace a user counts as one connection.
        const connections = here === undefined ? 0 : Math.max(here.connections, 1)
        entries.push({ topic, user, connections, info: here?.info })
      }
    }
    return entries
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

  #drop(topic: Topic, user: UserId): void {
    const users = this.#here.get(topic)!
    users.delete(user)
    this.#members--
    if (users.size === 0) this.#here.delete(topic)
  }
}
