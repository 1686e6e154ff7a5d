import { parseConnectionId, parseEventId, parseEventType, parseThreadId, parseUserId } from '../protocol/ids.ts'
import type { PublishRequest, Target } from '../hub/publish.ts'
import type { Code } from '../protocol/codes.ts'
import { isObject, RawJson, type Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { readOnly } from './fields.ts'

const FIELDS = ['to', 'thread', 'type', 'data', 'id', 'ephemeral', 'except', 'receipt_to']
const USERS = 1000

/**
 * Reads one event of a publish call. `body` holds the bytes that `data` is cut from, `at` is the event's place in it as a
 * JSON Pointer (RFC 6901), `dataBytes` the site's limit. Throws a Refusal that points to what is wrong.
 */
export function readEvent(event: Json | undefined, body: Buffer, at: string, dataBytes: number): PublishRequest {
  if (!isObject(event)) throw new Refusal('bad_field', 'an event is an object', { pointer: at })
  readOnly(event, FIELDS, at)
  const to = readTarget(event.to, at)
  const type = parseEventType(event.type) ?? fail('bad_field', at, 'type', '1 to 64 of A-Z a-z 0-9 _ . : -')
  const thread = optional(event.thread, parseThreadId, at, 'thread')
  if (thread !== undefined && 'thread' in to && thread !== to.thread) {
    throw wrong('bad_field', at, 'thread', 'another than in to')
  }
  const id = optional(event.id, parseEventId, at, 'id')
  const except = optional(event.except, parseConnectionId, at, 'except')
  const receiptTo = optional(event['receipt_to'], parseUserId, at, 'receipt_to')
  const { ephemeral } = event
  if (ephemeral !== undefined && typeof ephemeral !== 'boolean')
    throw wrong('bad_field', at, 'ephemeral', 'true or false')
  return {
    to,
    type,
    data: readData(event.data, body, at, dataBytes),
    ephemeral: ephemeral === true,
    thread,
    id,
    except,
    receiptTo,
  }
}

function readTarget(to: Json | undefined, at: string): Target {
  if (!isObject(to)) throw wrong('bad_target', at, 'to')
  const names = Object.keys(to)
  const { thread, users, site } = to
  if (names.length !== 1) throw wrong('bad_target', at, 'to', `found ${names.length} names`)
  if (thread !== undefined) return { thread: parseThreadId(thread) ?? fail('bad_id', at, 'to/thread') }
  if (site === true) return { site }
  if (!Array.isArray(users) || users.length === 0 || users.length > USERS) throw wrong('bad_target', at, 'to')
  const ids = users.map((user, i) => parseUserId(user) ?? fail('bad_id', at, `to/users/${i}`))
  return { users: [...new Set(ids)] }
}

function readData(data: Json | undefined, body: Buffer, at: string, limit: number): Buffer {
  if (!(data instanceof RawJson)) throw wrong('bad_field', at, 'data', 'data is required; null is allowed')
  const bytes = data.end - data.start
  if (bytes > limit) throw wrong('too_large', at, 'data', `${bytes} bytes, at most ${limit}`)
  return body.subarray(data.start, data.end)
}

function optional<T>(
  value: Json | undefined,
  parse: (value: unknown) => T | undefined,
  at: string,
  name: string,
): T | undefined {
  return value === undefined ? undefined : (parse(value) ?? fail('bad_id', at, name))
}

function wrong(code: Code, at: string, name: string, detail?: string): Refusal {
  return new Refusal(code, detail, { pointer: `${at}/${name}` })
}

function fail(code: Code, at: string, name: string, detail?: string): never {
  throw wrong(code, at, name, detail)
}
