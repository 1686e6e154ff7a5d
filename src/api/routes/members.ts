import type { Notice } from '../../bus/notice.ts'
import { parseThreadId, parseUserId, type SiteId, type ThreadId } from '../../protocol/ids.ts'
import { isObject, type Json, parseJson } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { type Topic, userTopic } from '../../protocol/topic.ts'
import { permissionMask } from '../../trust/trust.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { pointerToken, readOnly } from '../fields.ts'
import { Done, Members } from '../schemas.ts'

const USERS = 1000

/** `POST /v1/threads/{thread}/members`. */
export function membersCall({ hub }: ApiParts): Call {
  return {
    path: '/v1/threads/:thread/members',
    scope: 'manage',
    schema: describeCall(
      'Change what users may do in a thread, at once',
      '`add` permits; the client may then subscribe. `remove` unsubscribes every connection of the user, and refuses the tokens that the user has until now for this thread.',
      Members,
      Done,
    ),
    async run({ site }, body, { thread }) {
      const id = parseThreadId(thread)
      if (id === undefined) throw new Refusal('bad_id', 'the thread in the path')
      await hub.notify(readMembers(site.id, id, body))
      return {}
    },
  }
}

function readMembers(site: SiteId, thread: ThreadId, body: Buffer): Map<Topic, Notice> {
  const { add, remove } = readOnly(parseJson(body, 'batch'), ['add', 'remove'])
  const notices = new Map<Topic, Notice>()
  const note = (user: unknown, permissions: number, pointer: string): void => {
    const id = parseUserId(user)
    if (id === undefined) throw new Refusal('bad_id', undefined, { pointer })
    const topic = userTopic(site, id)
    if (notices.has(topic)) throw new Refusal('bad_field', 'named twice', { pointer })
    notices.set(topic, { kind: 'members', thread, permissions })
  }
  for (const [user, words] of Object.entries(readAdded(add))) {
    const pointer = `/add/${pointerToken(user)}`
    const permissions = permissionMask(words)
    if (permissions === undefined || permissions === 0) {
      throw new Refusal('bad_field', 'a list of permissions, of read, send and presence', { pointer })
    }
    note(user, permissions, pointer)
  }
  for (const [i, user] of readRemoved(remove).entries()) note(user, 0, `/remove/${i}`)
  if (notices.size === 0 || notices.size > USERS)
    throw new Refusal('bad_field', `name 1 to ${USERS} users in add and remove`)
  return notices
}

function readAdded(add: Json | undefined): Readonly<Record<string, Json>> {
  // PHP's json_encode writes an empty map as a list.
  if (add === undefined || (Array.isArray(add) && add.length === 0)) return {}
  if (!isObject(add)) throw new Refusal('bad_field', 'permissions by user', { pointer: '/add' })
  return add as Readonly<Record<string, Json>>
}

function readRemoved(remove: Json | undefined): readonly Json[] {
  if (remove === undefined) return []
  if (!Array.isArray(remove)) throw new Refusal('bad_field', 'a list of users', { pointer: '/remove' })
  return remove
}
