import { parseUserId, type SiteId, type UserId } from '../../protocol/ids.ts'
import { parseJson } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { onlineTopic } from '../../protocol/topic.ts'
import type { Presence } from '../../presence/presence.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readOnly } from '../fields.ts'
import { Online, Users } from '../schemas.ts'

const USERS = 1000

/** `POST /v1/presence/online`. */
export function onlineCall({ presence }: ApiParts): Call {
  return {
    path: '/v1/presence/online',
    scope: 'presence',
    schema: describeCall(
      'Ask which of up to 1,000 users are online',
      'Online is who has a connection on any node, or had one in the last 10 seconds.',
      Users,
      Online,
    ),
    async run({ site }, body) {
      return { online: await readOnline(presence, site.id, readUsers(body)) }
    },
  }
}

/** Returns who of the users is online. Rejects with `bus_down`. */
export async function readOnline(
  presence: Presence,
  site: SiteId,
  users: readonly UserId[],
): Promise<Record<string, boolean>> {
  const snapshots = await presence.read(users.map(user => onlineTopic(site, user)))
  return Object.fromEntries(users.map((user, i) => [user, snapshots[i]!.count > 0]))
}

function readUsers(body: Buffer): UserId[] {
  const { users } = readOnly(parseJson(body, 'batch'), ['users'])
  if (!Array.isArray(users) || users.length === 0 || users.length > USERS) {
    throw new Refusal('bad_field', `users is a list of 1 to ${USERS}`, { pointer: '/users' })
  }
  const ids = users.map((user, i) => {
    const id = parseUserId(user)
    if (id === undefined) throw new Refusal('bad_id', undefined, { pointer: `/users/${i}` })
    return id
  })
  return [...new Set(ids)]
}
