import type { ClientFrame } from '../protocol/decode.ts'
import { parseThreadId, type ThreadId } from '../protocol/ids.ts'
import type { Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { threadOf, threadTopic, type Topic } from '../protocol/topic.ts'
import { READ } from '../trust/trust.ts'
import { refusalIn } from './access.ts'
import type { Connection } from './connection.ts'
import { takeGrant } from './grant.ts'
import { join, readSince } from './join.ts'
import { openPresence, readWanted, showPresence } from './presence.ts'
import type { Services } from './services.ts'

const THREADS = 1000

/**
 * `subscribe`: listens to threads that the token, or a grant that comes along, names with `read`. What is refused is
 * refused thread by thread.
 */
export async function subscribe(
  connection: Connection,
  { id, fields }: ClientFrame,
  services: Services,
): Promise<void> {
  const since = readSince(fields.since)
  const asked = readThreads(fields.threads, connection.identity!.site.limits.threads)
  const wantsPresence = readWanted(fields.presence)
  const fault = fields.grant === undefined ? undefined : await takeGrant(connection, fields.grant, services)
  const site = connection.identity!.site.id
  const topics = new Map(asked.map(thread => [thread, threadTopic(site, thread)]))

  let { allowed, refused } = sort(connection, topics, fault, services)
  const followed = services.hub.follow(allowed.map(thread => topics.get(thread)!))
  const shown = wantsPresence ? await openPresence(connection, allowed, services) : []
  if (followed !== undefined || wantsPresence) {
    await followed
    // A thread may have been taken from the user meanwhile.
    ;({ allowed, refused } = sort(connection, topics, fault, services))
  }
  for (const { code } of refused.values()) services.metrics.refused(code, site)
  const chains = join(
    connection,
    allowed.map(thread => topics.get(thread)!),
    since,
    services,
  )
  connection.send({
    op: 'subscribed',
    id,
    chains,
    ...(wantsPresence ? { presence: showPresence(connection, shown, services) } : {}),
    ...(refused.size === 0 ? {} : { refused: describe(refused) }),
  })
}

/** Reads a list of thread ids, of a site that allows so many on a connection; doubles are removed. */
export function readThreads(value: Json | undefined, limit: number): ThreadId[] {
  // Each refusal is answered, so that a list without end would be an answer many times its size.
  const most = Math.max(limit, THREADS)
  if (!Array.isArray(value) || value.length === 0 || value.length > most) {
    throw new Refusal('bad_field', `threads is a list of 1 to ${most} thread ids`)
  }
  const threads = value.map(item => {
    const thread = parseThreadId(item)
    if (thread === undefined) throw new Refusal('bad_id', 'in threads')
    return thread
  })
  return [...new Set(threads)]
}

/** `fault` is what was wrong with the grant that came along: the reason for all that the token alone does not allow. */
function sort(
  connection: Connection,
  asked: ReadonlyMap<ThreadId, Topic>,
  fault: Refusal | undefined,
  services: Services,
): { allowed: ThreadId[]; refused: Map<ThreadId, Refusal> } {
  const { site } = connection.identity!
  const allowed: ThreadId[] = []
  const refused = new Map<ThreadId, Refusal>()
  let room = site.limits.threads - connection.topics().filter(topic => threadOf(topic) !== undefined).length
  for (const [thread, topic] of asked) {
    const refusal = refusalIn(connection, thread, READ, services.hub)
    if (refusal !== undefined) refused.set(thread, fault ?? refusal)
    else if (connection.hears(topic)) allowed.push(thread)
    else if (room > 0) {
      allowed.push(thread)
      room--
    } else refused.set(thread, new Refusal('thread_limit', `${site.limits.threads}`))
  }
  return { allowed, refused }
}

function describe(refused: ReadonlyMap<ThreadId, Refusal>): object {
  return Object.fromEntries([...refused].map(([thread, { code, message }]) => [thread, { code, message }]))
}
