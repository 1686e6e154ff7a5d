import type { Peer } from '../limits/addresses.ts'
import { every, type Cancel } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import type { ConnectionId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { threadOf, type Topic } from '../protocol/topic.ts'
import { expireGrants } from './access.ts'
import { Connection } from './connection.ts'
import type { Services } from './services.ts'
import type { Socket } from './socket.ts'
import { Users } from './users.ts'

/** Milliseconds until the first frame must have been `connect`. */
const CONNECT_WITHIN = 10_000
/** Seconds that a connection outlives its token, so that a refresh under way may come in (CONTRACT 12). */
const EXPIRY_LEEWAY = 30
/**
 * Bytes of events after which the backlogs are looked at before the second is over, if that takes no more than this part
 * of the time: so that a client that falls behind is closed by us, with 4408, and hardly ever by uWebSockets' own cap.
 */
const LOOK_AFTER = 1_048_576
const LOOK_PART = 1 / 20

/** All connections of this node, and the one timer that serves them all. */
export class Connections {
  readonly #services: Services
  readonly #all = new Map<ConnectionId, Connection>()
  readonly users = new Users(this.#all)
  // Random, so that ids are unique in the cluster without asking it.
  readonly #node = randomId(6)
  readonly #cancel: Cancel
  #count = 0
  #second = 0
  /** Bytes of events since the backlogs were looked at. */
  #bytes = 0
  #lookAgainAt = 0

  constructor(parts: Omit<Services, 'users'>) {
    const services = { ...parts, users: this.users }
    this.#services = services
    this.#cancel = every(1000, () => this.#sweep())
    services.trust.onChange(() => this.#dropRevoked())
  }

  get size(): number {
    return this.#all.size
  }

  get(id: ConnectionId): Connection | undefined {
    return this.#all.get(id)
  }

  open(socket: Socket, webOrigin: string | undefined, peer: Peer): Connection {
    const count = this.#count++
    const id = `${this.#node}.${count.toString(36)}` as ConnectionId
    const phase = count % this.#services.heartbeat
    const connection = new Connection(id, phase, socket, webOrigin, peer, this.#services)
    this.#all.set(id, connection)
    this.#services.metrics.connectionOpened()
    return connection
  }

  closed(connection: Connection, code: number): void {
    this.#all.delete(connection.id)
    this.users.remove(connection)
    connection.closedBy(code)
    const { identity } = connection
    if (identity !== undefined) this.#services.presence.disconnected(identity.site.id, identity.user)
    // uWebSockets does not tell whether it was its cap, but this much was needed to get there.
    const most = connection.backlog + this.#bytes
    if (code === 1006 && most > this.#services.backlogCap) this.#services.metrics.slowConsumer(identity?.site.id)
  }

  /** To be called when a connection is subscribed to a topic, or no more, as when it closes. */
  subscriptionChanged(connection: Connection, topic: Topic, subscribed: boolean): void {
    const thread = threadOf(topic)
    if (thread === undefined) return
    const { site, user, info } = connection.identity!
    connection.threads += subscribed ? 1 : -1
    if (subscribed) this.#services.presence.joined(site.id, thread, user, info)
    else this.#services.presence.left(site.id, thread, user)
  }

  /** To be called when events of so many bytes are handed to sockets. */
  published(bytes: number): void {
    this.#bytes += bytes
  }

  /** To be called when what was handed to sockets has been written to them: looks who falls behind, if it was much. */
  written(): void {
    if (this.#bytes > LOOK_AFTER && performance.now() > this.#lookAgainAt) this.#look()
  }

  /** Sends a frame to every authenticated connection. */
  broadcast(frame: string): void {
    for (const connection of this.#all.values()) if (connection.identity !== undefined) connection.send(frame)
  }

  /** Asks all to go elsewhere within `within` milliseconds; those that are not yet authenticated are closed. */
  drain(within: number): void {
    this.broadcast(`{"op":"drain","within":${within}}`)
    for (const connection of this.#all.values()) {
      if (connection.identity === undefined) connection.refuse(new Refusal('draining'))
    }
  }

  close(): void {
    this.#cancel()
    for (const connection of this.#all.values()) connection.refuse(new Refusal('draining'))
  }

  #sweep(): void {
    const { clock, heartbeat } = this.#services
    const now = clock.now()
    const beat = this.#second++ % heartbeat
    this.#look()
    for (const connection of this.#all.values()) {
      const { identity } = connection
      if (identity === undefined) {
        if (connection.openedAt + CONNECT_WITHIN <= now) connection.refuse(new Refusal('connect_timeout'))
        continue
      }
      if ((identity.expires + EXPIRY_LEEWAY) * 1000 <= now) connection.refuse(new Refusal('token_expired'))
      else if (connection.phase === beat) connection.send('{"op":"ping"}')
      expireGrants(connection, now / 1000 - EXPIRY_LEEWAY)
    }
  }

  #look(): void {
    const start = performance.now()
    for (const connection of this.#all.values()) connection.checkBacklog()
    this.#bytes = 0
    this.#lookAgainAt = start + (performance.now() - start) / LOOK_PART
  }

  #dropRevoked(): void {
    const { trust } = this.#services
    for (const connection of this.#all.values()) {
      const licence = connection.identity?.licence
      if (licence !== undefined && trust.isRevoked(licence.id)) connection.refuse(new Refusal('licence_revoked'))
    }
  }
}
