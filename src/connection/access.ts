import type { Hub } from '../hub/hub.ts'
import type { ThreadId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { presenceTopic, threadOf, threadOfPresence, threadTopic } from '../protocol/topic.ts'
import { permissionWords, PRESENCE, READ } from '../trust/trust.ts'
import type { Connection } from './connection.ts'

/** What a grant allows in one thread. */
export interface Grant {
  readonly permissions: number
  /** Seconds since the epoch, like `expires`. */
  readonly issuedAt: number
  readonly expires: number
}

/** Returns why a connection may not do something in a thread, or undefined when it may. `permission` is one bit of a mask. */
export function refusalIn(connection: Connection, thread: ThreadId, permission: number, hub: Hub): Refusal | undefined {
  const { threads, issuedAt } = connection.identity!
  const grant = connection.grants?.get(thread)
  const removed = hub.revocations(connection.userTopic!)?.threads.get(thread) ?? 0
  // Who was taken out of the thread needs a word of the origin that is newer (CONTRACT 19).
  const mask =
    (issuedAt > removed ? (threads.get(thread) ?? 0) : 0) |
    (grant !== undefined && grant.issuedAt > removed ? grant.permissions : 0)
  if ((mask & permission) !== 0) return undefined
  if (mask === 0 && issuedAt <= removed) return new Refusal('thread_revoked')
  if (!threads.has(thread) && grant === undefined) return new Refusal('thread_not_allowed')
  return new Refusal('permission_missing', permissionWords(permission).join())
}

/** Replaces what a connection may do in a thread, and tells its client (CONTRACT 19). `permissions` is a mask. */
export function permit(connection: Connection, thread: ThreadId, permissions: number): void {
  const { threads } = connection.identity!
  if (permissions === 0) threads.delete(thread)
  else threads.set(thread, permissions)
  if (connection.grants?.has(thread) === true) {
    connection.grants = new Map([...connection.grants].filter(([other]) => other !== thread))
  }
  obey(connection, thread)
}

/** Takes a thread out of what was allowed at or before `at`, in seconds. */
export function revoke(connection: Connection, thread: ThreadId, at: number): void {
  const { threads, issuedAt } = connection.identity!
  const grant = connection.grants?.get(thread)
  const concerned = (threads.has(thread) && issuedAt <= at) || (grant !== undefined && grant.issuedAt <= at)
  if (concerned) permit(connection, thread, 0)
}

/** Forgets the grants that have expired, and leaves their threads. `now` is in seconds. */
export function expireGrants(connection: Connection, now: number): void {
  const { grants } = connection
  if (grants === undefined) return
  const left = new Map([...grants].filter(([, { expires }]) => expires > now))
  if (left.size === grants.size) return
  connection.grants = left.size === 0 ? undefined : left
  leaveForbidden(connection)
}

/** Leaves the threads that may not be read any more, and says so. */
export function leaveForbidden(connection: Connection): void {
  for (const topic of connection.topics()) {
    const thread = threadOf(topic)
    if (thread !== undefined && (permissionsIn(connection, thread) & READ) === 0) obey(connection, thread)
    const shown = threadOfPresence(topic)
    if (shown !== undefined && (permissionsIn(connection, shown) & PRESENCE) === 0) connection.leave([topic])
  }
}

function obey(connection: Connection, thread: ThreadId): void {
  const permissions = permissionsIn(connection, thread)
  const site = connection.identity!.site.id
  if ((permissions & READ) === 0) connection.leave([threadTopic(site, thread), presenceTopic(site, thread)])
  else if ((permissions & PRESENCE) === 0) connection.leave([presenceTopic(site, thread)])
  connection.send({ op: 'members', thread, perms: permissionWords(permissions) })
}

function permissionsIn({ identity, grants }: Connection, thread: ThreadId): number {
  return (identity!.threads.get(thread) ?? 0) | (grants?.get(thread)?.permissions ?? 0)
}
