import type { IncomingMessage } from 'node:http'
import type { Place } from './log.ts'

/** The origin's "no": an HTTP status and a sentence for the person who called. */
export class HttpError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const BODY_BYTES = 32_768
// The names of keys are made by machines: nothing but these characters.
const TOKEN = /^[A-Za-z0-9_.:@-]{1,128}$/

/** Reads a JSON object. */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  // The type also keeps other sites out: a foreign page cannot send it without asking first (CORS).
  if (request.headers['content-type']?.split(';')[0]?.trim() !== 'application/json') {
    throw new HttpError(415, 'Send application/json.')
  }
  return parseObject(await readBody(request))
}

/** Reads a body as it came. Its size is limited while it is read: a Content-Length can lie or be absent. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES) throw new HttpError(413, `The body is larger than ${BODY_BYTES} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseObject(bytes: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new HttpError(400, 'The body is not JSON in UTF-8.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HttpError(400, 'The body is not a JSON object.')
  }
  return value as Record<string, unknown>
}

/** Returns a trimmed text of 1 to `limit` characters. Control characters are refused, but for line breaks if allowed. */
export function textOf(value: unknown, field: string, limit: number, lines: 'one line' | 'many lines'): string {
  if (typeof value !== 'string') throw new HttpError(422, `${field} is not a string.`)
  const text = value.replaceAll('\r\n', '\n').trim()
  if (text === '' || text.length > limit) throw new HttpError(422, `${field} has 1 to ${limit} characters.`)
  const rest = lines === 'many lines' ? text.replaceAll(/[\n\t]/g, '') : text
  // Cs: half a surrogate pair, which is no text and which strict readers of JSON refuse.
  if (/[\p{Cc}\p{Cs}]/u.test(rest)) throw new HttpError(422, `${field} has control characters.`)
  return text
}

/** Returns a name made by a machine. */
export function tokenOf(value: unknown, field: string): string {
  if (typeof value !== 'string' || !TOKEN.test(value)) throw new HttpError(422, `${field} is ill-formed.`)
  return value
}

/** Returns the id of an event: a number, or its digits as the relay writes them. */
export function eventIdOf(value: unknown, field: string): number {
  const id = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (!isWhole(id)) throw new HttpError(422, `${field} is not an event id.`)
  return id
}

/** Returns by chain what a page has: `{"thread:all": {"after": "7"}, "user": {"stamp": 1795508107628535}}`. */
export function placesOf(value: unknown): Map<string, Place> {
  const places = new Map<string, Place>()
  for (const [chain, place] of Object.entries(objectOf(value, 'chains'))) {
    const { after, stamp } = objectOf(place, chain)
    if (stamp !== undefined && !isWhole(stamp)) throw new HttpError(422, 'stamp is not a stamp.')
    places.set(chain, { after: after === undefined ? undefined : eventIdOf(after, 'after'), stamp })
  }
  return places
}

function objectOf(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new HttpError(422, `${field} is not an object.`)
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
