import type { Recipients } from '../bus/bus.ts'
import type { ClientFrame } from '../protocol/decode.ts'
import {
  parseConnectionId,
  parseEventType,
  parseThreadId,
  parseUserId,
  type ConnectionId,
  type EventType,
  type ThreadId,
} from '../protocol/ids.ts'
import { isObject, type Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { threadTopic } from '../protocol/topic.ts'
import { SEND } from '../trust/trust.ts'
import { refusalIn } from './access.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

const DATA_BYTES = 16_384
const NOTHING = Buffer.from('null')

/**
 * `send`: an ephemeral event of a client, to the others who are subscribed to the thread, or to one user or connection
 * among them (CONTRACT 21). Who sent it is the relay's word.
 */
export async function send(
  connection: Connection,
  { id, fields, data = NOTHING }: ClientFrame,
  { hub, callbacks, clock }: Services,
): Promise<void> {
  const thread = readThread(fields.thread)
  const type = readType(fields.type)
  const recipients = readTo(fields.to, connection.id)
  if (data.length > DATA_BYTES) {
    throw new Refusal('too_large', `data is ${data.length} bytes, at most ${DATA_BYTES}`, { keepOpen: true })
  }
  const { site, user } = connection.identity!
  const refusal = refusalIn(connection, thread, SEND, hub)
  if (refusal !== undefined) throw refusal
  if (!site.types.allow(type)) throw new Refusal('type_not_allowed', type)
  connection.seat.chargeSend(site.limits.sendPerSecond)
  const sender = { user, connection: connection.id }
  await hub.send(threadTopic(site.id, thread), { type, thread, sender, data }, recipients)
  const { callback } = site
  if (callback?.events.allow(type)) {
    const content = callback.data ? { data: data.toString() } : {}
    callbacks.tell(site.id, { type, at: clock.now(), thread, user, ...content })
  }
  if (id !== undefined) connection.send({ op: 'sent', id })
}

export function readThread(value: Json | undefined): ThreadId {
  const thread = parseThreadId(value)
  if (thread === undefined) throw new Refusal('bad_id', 'thread')
  return thread
}

function readType(value: Json | undefined): EventType {
  const type = parseEventType(value)
  if (type === undefined) throw new Refusal('bad_field', 'type: 1 to 64 of A-Z a-z 0-9 _ . : -')
  return type
}

function readTo(value: Json | undefined, sender: ConnectionId): Recipients {
  if (value === undefined) return { except: sender }
  const names = isObject(value) ? Object.keys(value) : []
  if (!isObject(value) || names.length !== 1) throw new Refusal('bad_target', 'to of a send has user or connection')
  const user = parseUserId(value.user)
  if (user !== undefined) return { user, except: sender }
  const connection = parseConnectionId(value.connection)
  if (connection !== undefined) return { connection }
  throw new Refusal('bad_target', 'to of a send has user or connection')
}
