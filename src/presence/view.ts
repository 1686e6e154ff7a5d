import type { UserId } from '../protocol/ids.ts'
import type { Change, Present, Snapshot } from './store.ts'

/** What clients are told of a topic since the last time. */
export interface Difference {
  readonly joined: readonly Present[]
  readonly left: readonly UserId[]
  readonly count: number
}

/**
 * What this node knows of who is at a topic, and what its clients have not yet been told. Pure: no clock, no I/O.
 * What is told repeats nothing false: who gets it on top of a newer snapshot hears again what it knows.
 */
export class View {
  #version: number
  #count: number
  /** Undefined when they are too many to be named. */
  #members: Map<UserId, Present> | undefined
  // Who came or went since the clients were told, and whether they knew the user as present.
  readonly #untold = new Map<UserId, boolean>()
  #toldCount: number

  constructor({ version, count, members }: Snapshot) {
    this.#version = version
    this.#count = count
    this.#toldCount = count
    this.#members = members === undefined ? undefined : new Map(members.map(member => [member.user, member]))
  }

  get count(): number {
    return this.#count
  }

  /** Those who are here; undefined when they are too many to be named. */
  get members(): readonly Present[] | undefined {
    return this.#members === undefined ? undefined : [...this.#members.values()]
  }

  /** Takes over a change. Returns false if changes before it were missed: then a snapshot has to be read. */
  apply({ version, prev, count, present, left }: Change): boolean {
    if (version <= this.#version) return true
    // Named again after being too many, or the other way round: a snapshot knows.
    if ((prev !== undefined && prev !== this.#version) || (present === undefined) !== (this.#members === undefined))
      return false
    this.#version = version
    this.#count = count
    for (const member of present ?? []) this.#put(member.user, member)
    for (const user of left ?? []) this.#put(user, undefined)
    return true
  }

  /** Takes over a snapshot that was read later. */
  replace({ version, count, members }: Snapshot): void {
    this.#version = version
    this.#count = count
    if (members === undefined) {
      this.#members = undefined
      this.#untold.clear()
      return
    }
    const now = new Map(members.map(member => [member.user, member]))
    this.#members ??= new Map()
    for (const user of this.#members.keys()) if (!now.has(user)) this.#put(user, undefined)
    for (const [user, member] of now) this.#put(user, member)
  }

  /** Returns what clients have not been told, and counts it as told; undefined when there is nothing. */
  difference(): Difference | undefined {
    const joined: Present[] = []
    const left: UserId[] = []
    for (const [user, known] of this.#untold) {
      const member = this.#members?.get(user)
      if (member !== undefined && !known) joined.push(member)
      if (member === undefined && known) left.push(user)
    }
    this.#untold.clear()
    if (joined.length + left.length === 0 && this.#count === this.#toldCount) return undefined
    this.#toldCount = this.#count
    return { joined, left, count: this.#count }
  }

  #put(user: UserId, member: Present | undefined): void {
    const members = this.#members!
    const known = members.has(user)
    if (known !== (member !== undefined) && !this.#untold.has(user)) this.#untold.set(user, known)
    if (member === undefined) members.delete(user)
    else members.set(user, { ...member, info: member.info ?? members.get(user)?.info })
  }
}
