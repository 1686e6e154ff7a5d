import { randomBytes } from 'node:crypto'

export interface User {
  readonly id: string
  readonly name: string
}

/** The group that everybody is in. */
export const EVERYBODY = 'all'
export const PEOPLE: readonly string[] = ['Alice', 'Bob', 'Carol']

const MOST_PEOPLE = 20

/**
 * Who there is, and who may read what: a group of all, and a conversation for every two. It lives in memory, so that
 * the demo leaves nothing behind; a real origin has its accounts here.
 */
export class People {
  readonly #users = new Map<string, User>()
  readonly #sessions = new Map<string, User>()

  constructor() {
    for (const name of PEOPLE) this.#add(name)
  }

  get all(): User[] {
    return [...this.#users.values()]
  }

  /** Returns the user of this name, new or known; undefined if there are too many. There are no passwords here: a name is enough. */
  called(name: string): { user: User; isNew: boolean } | undefined {
    const known = this.all.find(user => user.name === name)
    if (known !== undefined) return { user: known, isNew: false }
    return this.#users.size < MOST_PEOPLE ? { user: this.#add(name), isNew: true } : undefined
  }

  openSession(user: User): string {
    const session = randomBytes(24).toString('base64url')
    this.#sessions.set(session, user)
    return session
  }

  userOf(session: string): User | undefined {
    return this.#sessions.get(session)
  }

  /** Returns the threads that a user may read and write. */
  threadsOf({ id }: User): string[] {
    const others = this.all.filter(other => other.id !== id)
    return [EVERYBODY, ...others.map(other => pairOf(id, other.id))]
  }

  isMember(user: User, thread: string): boolean {
    return this.threadsOf(user).includes(thread)
  }

  #add(name: string): User {
    const user = { id: `u${this.#users.size + 1}`, name }
    this.#users.set(user.id, user)
    return user
  }
}

/** Returns the thread of two users: the same for both. */
export function pairOf(one: string, other: string): string {
  const [first, second] = [Number(one.slice(1)), Number(other.slice(1))]
  return first < second ? `${one}.${other}` : `${other}.${one}`
}
