import type { IncomingMessage } from 'node:http'

/** The origin's "no": an HTTP status and a sentence for the person who called. */
export class HttpError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const BODY_BYTES = 16_384
// The names of connections and keys are ours and the relay's: nothing but these characters.
const TOKEN = /^[A-Za-z0-9_.:@-]{1,128}$/

/** Reads a JSON object. Its size is limited while it is read: a Content-Length can lie or be absent. */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  // The type also keeps other sites out: a foreign page cannot send it without asking first (CORS).
  if (request.headers['content-type']?.split(';')[0]?.trim() !== 'application/json') {
    throw new HttpError(415, 'Send application/json.')
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES) throw new HttpError(413, `The body is larger than ${BODY_BYTES} bytes.`)
    chunks.push(chunk)
  }
  return parseObject(Buffer.concat(chunks))
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

/** Returns a name made by a machine: a connection's or a request's. */
export function tokenOf(value: unknown, field: string): string {
  if (typeof value !== 'string' || !TOKEN.test(value)) throw new HttpError(422, `${field} is ill-formed.`)
  return value
}

/** Returns the message id of a query; without one, 0: from the beginning. */
export function afterOf(value: string | null): number {
  if (value === null) return 0
  if (!/^\d{1,15}$/.test(value)) throw new HttpError(422, 'after is not a message id.')
  return Number(value)
}
