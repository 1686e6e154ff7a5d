import { Emitter } from './events.ts'

/** Whether some users are online, kept up to date until `close`. */
export class Watch {
  readonly users: readonly string[]
  /** What is known so far, by user id. */
  readonly online = new Map<string, boolean>()
  readonly #emitter = new Emitter()
  readonly #leave: () => void

  constructor(users: readonly string[], leave: () => void) {
    this.users = users
    this.#leave = leave
  }

  /** Returns a function that takes the listener off. It is told those who have changed. */
  on(name: 'change', listener: (change: { readonly users: Readonly<Record<string, boolean>> }) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  close(): void {
    this.#emitter.clear()
    this.#leave()
  }

  /** Is for the client: takes what the relay says. */
  take(users: Readonly<Record<string, boolean>>): void {
    const changed = this.users.filter(user => Object.hasOwn(users, user) && this.online.get(user) !== users[user])
    for (const user of changed) this.online.set(user, users[user]!)
    if (changed.length > 0)
      this.#emitter.emit('change', { users: Object.fromEntries(changed.map(user => [user, users[user]])) })
  }
}
