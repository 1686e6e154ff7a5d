import type { Recipients } from '../bus/bus.ts'
import type { Notice, Revocations } from '../bus/notice.ts'
import type { Audience } from '../hub/audience.ts'
import { DISCONNECTED } from '../protocol/codes.ts'
import type { ConnectionId } from '../protocol/ids.ts'
import { siteOf, userTopic, type Topic } from '../protocol/topic.ts'
import { permit, revoke } from './access.ts'
import type { Connection } from './connection.ts'

/** This node's authenticated connections by user. */
export class Users implements Audience {
  readonly #byTopic = new Map<Topic, Connection[]>()
  readonly #byId: ReadonlyMap<ConnectionId, Connection>

  constructor(byId: ReadonlyMap<ConnectionId, Connection>) {
    this.#byId = byId
  }

  add(connection: Connection): void {
    const topic = connection.userTopic!
    const others = this.#byTopic.get(topic)
    if (others === undefined) this.#byTopic.set(topic, [connection])
    else others.push(connection)
  }

  remove(connection: Connection): void {
    const topic = connection.userTopic
    if (topic === undefined) return
    const left = this.#byTopic.get(topic)?.filter(other => other !== connection) ?? []
    if (left.length === 0) this.#byTopic.delete(topic)
    else this.#byTopic.set(topic, left)
  }

  told(user: Topic, notice: Notice): void {
    for (const connection of this.#of(user)) {
      if (notice.kind === 'members') permit(connection, notice.thread, notice.permissions)
      else connection.close(DISCONNECTED, notice.reason)
    }
  }

  direct(topic: Topic, frame: Buffer, to: Recipients): void {
    for (const connection of this.#recipients(topic, to)) {
      // A topic names its site, so nobody of another site hears it, whatever id was given.
      if (connection.hears(topic)) connection.send(frame)
    }
  }

  revoked(user: Topic, { tokens, threads }: Revocations): void {
    for (const connection of this.#of(user)) {
      if (connection.identity!.issuedAt <= tokens) {
        connection.close(DISCONNECTED, 'token_revoked')
        continue
      }
      for (const [thread, at] of threads) revoke(connection, thread, at)
    }
  }

  #recipients(topic: Topic, to: Recipients): readonly Connection[] {
    if ('connection' in to) {
      const connection = this.#byId.get(to.connection)
      return connection === undefined ? [] : [connection]
    }
    if (!('user' in to)) return []
    return this.#of(userTopic(siteOf(topic), to.user)).filter(({ id }) => id !== to.except)
  }

  #of(user: Topic): readonly Connection[] {
    // A copy is not needed: `remove` makes another array, and nobody is added meanwhile.
    return this.#byTopic.get(user) ?? []
  }
}
