import { every, type Cancel } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import type { ConnectionId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { Connection } from './connection.ts'
import type { Services } from './services.ts'
import type { Socket } from './socket.ts'
import { Users } from './users.ts'

/** Milliseconds until the first frame must have been `connect`. */
const CONNECT_WITHIN = 10_000
/** Seconds that a connection outlives its token, so that a refresh under way may come in (CONTRACT 12). */
const EXPIRY_LEEWAY = 30

/** All connections of this node, and the one timer that serves them all. */
export class Connections {
  readonly users = new Users()
  readonly #services: Services
  readonly #all = new Map<ConnectionId, Connection>()
  // Random, so that ids are unique in the cluster without asking it.
  readonly #node = randomId(6)
  readonly #cancel: Cancel
  #count = 0
  #second = 0

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

  open(socket: Socket, webOrigin: string | undefined): Connection {
    const count = this.#count++
    const id = `${this.#node}.${count.toString(36)}` as ConnectionId
    const phase = count % this.#services.heartbeat
    const connection = new Connection(id, phase, socket, webOrigin, this.#services)
    this.#all.set(id, connection)
    this.#services.metrics.connectionOpened()
    return connection
  }

  closed(connection: Connection, code: number): void {
    this.#all.delete(connection.id)
    this.users.remove(connection)
    connection.closedBy(code)
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
    for (const connection of this.#all.values()) {
      const { identity } = connection
      if (identity === undefined) {
        if (connection.openedAt + CONNECT_WITHIN <= now) connection.refuse(new Refusal('connect_timeout'))
        continue
      }
      if ((identity.expires + EXPIRY_LEEWAY) * 1000 <= now) connection.refuse(new Refusal('token_expired'))
      else if (connection.phase === beat) connection.send('{"op":"ping"}')
      connection.expireGrants(now / 1000 - EXPIRY_LEEWAY)
    }
  }

  #dropRevoked(): void {
    const { trust } = this.#services
    for (const connection of this.#all.values()) {
      const licence = connection.identity?.licence
      if (licence !== undefined && trust.isRevoked(licence.id)) connection.refuse(new Refusal('licence_revoked'))
    }
  }
}
