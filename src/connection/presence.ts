import type { ClientFrame } from '../protocol/decode.ts'
import type { ThreadId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { presenceTopic, threadTopic } from '../protocol/topic.ts'
import { describePresence } from '../presence/describe.ts'
import { PRESENCE } from '../trust/trust.ts'
import { refusalIn } from './access.ts'
import type { Connection } from './connection.ts'
import { readThread } from './send.ts'
import type { Services } from './services.ts'

/** `presence`: tells who is in a thread, in the whole cluster. Nobody need be subscribed to ask. */
export async function presence(connection: Connection, { id, fields }: ClientFrame, services: Services): Promise<void> {
  const thread = readThread(fields.thread)
  const refusal = refusalIn(connection, thread, PRESENCE, services.hub)
  if (refusal !== undefined) throw refusal
  const [snapshot] = await services.presence.read([presenceTopic(connection.identity!.site.id, thread)])
  connection.send({ op: 'presence', id, thread, ...describePresence(snapshot!) })
}

/** Gets ready to show who is in threads. Returns those of which the connection may know it. */
export async function openPresence(
  connection: Connection,
  threads: readonly ThreadId[],
  { hub, presence }: Services,
): Promise<ThreadId[]> {
  const site = connection.identity!.site.id
  const allowed = threads.filter(thread => refusalIn(connection, thread, PRESENCE, hub) === undefined)
  const topics = allowed.map(thread => presenceTopic(site, thread))
  await hub.follow(topics)
  await presence.open(topics)
  return allowed
}

/**
 * Subscribes a connection to who comes and goes in threads that were opened, and returns who is there, the connection's
 * own user among them.
 */
export function showPresence(
  connection: Connection,
  threads: readonly ThreadId[],
  { presence }: Services,
): Record<string, object> {
  const { site, user, info } = connection.identity!
  const shown = threads.filter(thread => connection.hears(threadTopic(site.id, thread)))
  connection.join(shown.map(thread => presenceTopic(site.id, thread)))
  return Object.fromEntries(
    shown.map(thread => {
      const { members, count } = presence.see(presenceTopic(site.id, thread)) ?? { members: [], count: 0 }
      if (members === undefined || members.some(member => member.user === user)) {
        return [thread, describePresence({ members, count })]
      }
      return [thread, describePresence({ members: [...members, { user, info, connections: 1 }], count: count + 1 })]
    }),
  )
}

/** Refuses what is not a boolean. */
export function readWanted(value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new Refusal('bad_field', 'presence is true or false')
  return value === true
}
