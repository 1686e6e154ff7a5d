import type { Member, PresenceFrame } from './frames.ts'

/** Above this many users the relay names nobody. */
const MOST_NAMED = 500

export type PresenceNews = Omit<PresenceFrame, 'op' | 'thread'>

/** Who is in a thread, kept from a snapshot and the changes after it. Pure. */
export class View {
  #members: Map<string, Omit<Member, 'user'>> | undefined
  #count = 0

  /** Everybody by user id; undefined while nothing is known, and when there are too many to name. */
  get members(): ReadonlyMap<string, Omit<Member, 'user'>> | undefined {
    return this.#members
  }

  get count(): number {
    return this.#count
  }

  /** Takes a snapshot or a change. Returns whether a snapshot is needed, as the two do not fit. */
  take({ members, joined = [], left = [], count }: PresenceNews): boolean {
    this.#count = count
    if (members) this.#members = new Map()
    for (const { user, ...rest } of members ?? joined) {
      if (members || !this.#members?.has(user)) this.#members?.set(user, rest)
    }
    for (const user of left) this.#members?.delete(user)
    if (count > MOST_NAMED) this.#members = undefined
    return !members && count <= MOST_NAMED && this.#members?.size !== count
  }
}
