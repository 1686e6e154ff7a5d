import type { ClientFrame } from '../protocol/decode.ts'
import { parseUserId, type UserId } from '../protocol/ids.ts'
import type { Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { onlineTopic, userOfOnline } from '../protocol/topic.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

/** `watch`: tells who of some users is online, and tells it again whenever that changes (CONTRACT 20). */
export async function watch(connection: Connection, { id, fields }: ClientFrame, services: Services): Promise<void> {
  const { hub, presence, metrics } = services
  const { site, watch: allowed } = connection.identity!
  const refused = new Map<UserId, Refusal>()
  const users: UserId[] = []
  let room = site.limits.threads - connection.topics().filter(topic => userOfOnline(topic) !== undefined).length
  for (const user of readUsers(fields.users)) {
    const known = connection.hears(onlineTopic(site.id, user))
    if (allowed !== true && allowed?.has(user) !== true) refused.set(user, new Refusal('permission_missing', 'watch'))
    else if (known || room-- > 0) users.push(user)
    else refused.set(user, new Refusal('thread_limit', `${site.limits.threads} watched users`))
  }
  for (const { code } of refused.values()) metrics.refused(code, site.id)
  const topics = users.map(user => onlineTopic(site.id, user))
  await hub.follow(topics)
  await presence.open(topics)
  hub.flush()
  connection.join(topics)
  const online = users.map((user, i) => [user, (presence.see(topics[i]!)?.count ?? 0) > 0] as const)
  const reasons = [...refused].map(([user, { code, message }]) => [user, { code, message }] as const)
  connection.send({
    op: 'online',
    id,
    users: Object.fromEntries(online),
    ...(refused.size === 0 ? {} : { refused: Object.fromEntries(reasons) }),
  })
}

/** `unwatch`: hears no more of these users. */
export function unwatch(connection: Connection, { id, fields }: ClientFrame): void {
  const site = connection.identity!.site.id
  connection.leave(readUsers(fields.users).map(user => onlineTopic(site, user)))
  connection.send({ op: 'online', id, users: {} })
}

function readUsers(value: Json | undefined): UserId[] {
  if (!Array.isArray(value) || value.length === 0) throw new Refusal('bad_field', 'users is a list of user ids')
  const users = value.map(item => {
    const user = parseUserId(item)
    if (user === undefined) throw new Refusal('bad_id', 'in users')
    return user
  })
  return [...new Set(users)]
}
