import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

/** What tokens say of users, by topic: kept only for those who have something said, since most have not. */
export class Infos {
  readonly #byTopic = new Map<Topic, Map<UserId, string>>()

  get(topic: Topic, user: UserId): string | undefined {
    return this.#byTopic.get(topic)?.get(user)
  }

  set(topic: Topic, user: UserId, info: string): void {
    const users = this.#byTopic.get(topic)
    if (users === undefined) this.#byTopic.set(topic, new Map([[user, info]]))
    else users.set(user, info)
  }

  delete(topic: Topic, user: UserId): void {
    const users = this.#byTopic.get(topic)
    if (users === undefined) return
    users.delete(user)
    if (users.size === 0) this.#byTopic.delete(topic)
  }
}
