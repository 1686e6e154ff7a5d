import type { FastifyRequest } from 'fastify'
import { Refusal } from '../protocol/refusal.ts'

/** Returns a request's body as it came. */
export function bodyOf({ body }: FastifyRequest): Buffer {
  if (!Buffer.isBuffer(body)) throw new Refusal('unsupported_media_type', 'there is no JSON body')
  return body
}
