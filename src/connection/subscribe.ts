import type { ClientFrame } from '../protocol/decode.ts'
import { parseThreadId, type ThreadId } from '../protocol/ids.ts'
import type { Json, JsonObject } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { threadTopic, type Topic } from '../protocol/topic.ts'
import { READ } from '../trust/trust.ts'
import { refusalIn } from './access.ts'
import type { Connection } from './connection.ts'
import { takeGrant } from './grant.ts'
import { idField, join, readSince } from './join.ts'
import { openPresence, readWanted, showPresence } from './presence.ts'
import type { Rest } from './ops.ts'
import type { Services } from './services.ts'

const THREADS = 1000

/** The threads that a client may listen to, with their topics, and why not to the others. */
interface Sorted {
  readonly threads: readonly ThreadId[]
  readonly topics: readonly Topic[]
  readonly refused: ReadonlyMap<ThreadId, Refusal>
}

/**
 * `subscribe`: listens to threads that the token, or a grant that comes along, names with `read`. What is refused is
 * refused thread by thread.
 */
export function subscribe(connection: Connection, frame: ClientFrame, services: Services): Promise<Rest> | void {
  const { id, fields } = frame
  const since = readSince(fields.since)
  const asked = readThreads(fields.threads, connection.identity!.site.limits.threads)
  const wantsPresence = readWanted(fields.presence)
  if (fields.grant !== undefined || wantsPresence) {
    return subscribeWithMore(connection, frame, since, asked, wantsPresence, services)
  }
  const sorted = sort(connection, asked, undefined, services)
  const followed = services.hub.follow(sorted.topics)
  if (followed === undefined) return answer(connection, id, since, sorted, undefined, services)
  return followed.then(() => () => {
    // A thread may have been taken from the user meanwhile.
    answer(connection, id, since, sort(connection, asked, undefined, services), undefined, services)
  })
}

/** The same with a grant, or for who wants to know who is there. */
async function subscribeWithMore(
  connection: Connection,
  { id, fields }: ClientFrame,
  since: JsonObject,
  asked: readonly ThreadId[],
  wantsPresence: boolean,
  services: Services,
): Promise<Rest> {
  const fault = fields.grant === undefined ? undefined : await takeGrant(connection, fields.grant, services)
  const { threads, topics } = sort(connection, asked, fault, services)
  const followed = services.hub.follow(topics)
  const shown = wantsPresence ? await openPresence(connection, threads, services) : undefined
  await followed
  return () => answer(connection, id, since, sort(connection, asked, fault, services), shown, services)
}

function answer(
  connection: Connection,
  id: number | undefined,
  since: JsonObject,
  { topics, refused }: Sorted,
  shown: readonly ThreadId[] | undefined,
  services: Services,
): void {
  const site = connection.identity!.site.id
  for (const { code } of refused.values()) services.metrics.refused(code, site)
  const chains = join(connection, topics, since, services)
  const presence = shown === undefined ? '' : `,"presence":${JSON.stringify(showPresence(connection, shown, services))}`
  const not = refused.size === 0 ? '' : `,"refused":${JSON.stringify(describe(refused))}`
  connection.send(`{"op":"subscribed",${idField(id)}"chains":${chains}${presence}${not}}`)
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
  return threads.length === 1 ? threads : [...new Set(threads)]
}

const NONE: ReadonlyMap<ThreadId, Refusal> = new Map()

/** `fault` is what was wrong with the grant that came along: the reason for all that the token alone does not allow. */
function sort(
  connection: Connection,
  asked: readonly ThreadId[],
  fault: Refusal | undefined,
  services: Services,
): Sorted {
  const { site } = connection.identity!
  const threads: ThreadId[] = []
  const topics: Topic[] = []
  let refused: Map<ThreadId, Refusal> | undefined
  let room = site.limits.threads - connection.threads
  for (const thread of asked) {
    const topic = threadTopic(site.id, thread)
    let refusal = refusalIn(connection, thread, READ, services.hub)
    if (refusal !== undefined) refusal = fault ?? refusal
    else if (!connection.hears(topic) && room-- <= 0) refusal = new Refusal('thread_limit', `${site.limits.threads}`)
    if (refusal === undefined) {
      threads.push(thread)
      topics.push(topic)
    } else {
      refused ??= new Map()
      refused.set(thread, refusal)
    }
  }
  return { threads, topics, refused: refused ?? NONE }
}

function describe(refused: ReadonlyMap<ThreadId, Refusal>): object {
  return Object.fromEntries([...refused].map(([thread, { code, message }]) => [thread, { code, message }]))
}
