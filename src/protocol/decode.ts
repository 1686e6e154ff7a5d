import { isCount } from './ids.ts'
import { parseJson, RawJson, type JsonObject } from './raw-json.ts'
import { Refusal } from './refusal.ts'

/** A client's frame. Its fields are well-formed JSON, but nothing else is known of them yet. */
export interface ClientFrame {
  readonly op: string
  readonly id: number | undefined
  readonly fields: JsonObject
  /** The exact bytes of `data`: a copy, since the message is only lent. */
  readonly data: Buffer | undefined
}

/** Returns the frame that a message holds, or why it holds none. Never throws: the bytes are anyone's. */
export function decodeFrame(message: Buffer): ClientFrame | Refusal {
  let fields: JsonObject
  try {
    fields = parseJson(message, 'frame')
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  const { op, id } = fields
  if (typeof op !== 'string') return new Refusal('bad_frame', 'op is not a string')
  if (id !== undefined && !isCount(id)) return new Refusal('bad_frame', 'id is not an integer from 0 to 2^53-1')
  const raw = fields.data
  const data = raw instanceof RawJson ? Buffer.from(message.subarray(raw.start, raw.end)) : undefined
  return { op, id, fields, data }
}

/** The start of a frame as most clients write it. */
const ID_FIRST = /^\{"op":"[a-z]+","id":(\d{1,15})[,}]/

/** Returns the id of a frame that is not going to be worked on: where `op` and `id` come first, without parsing it. */
export function decodeId(message: Buffer): number | undefined {
  const id = ID_FIRST.exec(message.toString('latin1', 0, 64))?.[1]
  if (id !== undefined) return Number(id)
  const frame = decodeFrame(message)
  return frame instanceof Refusal ? undefined : frame.id
}
