import { createEmitter } from './events.ts'
import type { Watch } from './relay.ts'

export interface Watching {
  readonly users: readonly string[]
  readonly take: (users: Readonly<Record<string, boolean>>) => void
  /** What the application has of it. */
  readonly watch: Watch
}

export function createWatch(users: readonly string[], leave: (own: Watching) => void): Watching {
  const changes = createEmitter()
  const online = new Map<string, boolean>()
  const own: Watching = {
    users,
    take(told) {
      const news = Object.entries(told).filter(([user, is]) => users.includes(user) && online.get(user) !== is)
      for (const [user, is] of news) online.set(user, is)
      if (news.length > 0) changes.emit('change', { users: Object.fromEntries(news) })
    },
    watch: {
      online,
      on: changes.on,
      close() {
        changes.clear()
        leave(own)
      },
    },
  }
  return own
}
