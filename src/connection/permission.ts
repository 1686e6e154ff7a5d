import type { Hub } from '../hub/hub.ts'
import type { ThreadId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { userTopic } from '../protocol/topic.ts'
import { permissionWords } from '../trust/trust.ts'
import type { Connection } from './connection.ts'

/** Returns why a connection may not do something in a thread, or undefined when it may. `permission` is one bit of a mask. */
export function refusalIn(connection: Connection, thread: ThreadId, permission: number, hub: Hub): Refusal | undefined {
  const { site, user, threads, issuedAt } = connection.identity!
  const grant = connection.grants?.get(thread)
  const removed = hub.revocations(userTopic(site.id, user))?.threads.get(thread) ?? 0
  // Who was taken out of the thread needs a word of the origin that is newer (CONTRACT 19).
  const mask =
    (issuedAt > removed ? (threads.get(thread) ?? 0) : 0) |
    (grant !== undefined && grant.issuedAt > removed ? grant.permissions : 0)
  if ((mask & permission) !== 0) return undefined
  if (mask === 0 && issuedAt <= removed) return new Refusal('thread_revoked')
  if (!threads.has(thread) && grant === undefined) return new Refusal('thread_not_allowed')
  return new Refusal('permission_missing', permissionWords(permission).join())
}
