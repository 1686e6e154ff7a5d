import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { HttpError } from './input.ts'

const SKEW_SECONDS = 300

/** What the relay tells: that a user has received an event. It is asked for nothing else. */
export interface Delivered {
  readonly type: string
  readonly thread?: string
  readonly data: { readonly event: string; readonly user: string }
}

/**
 * Returns the events of a callback, if it is the relay's: signed as Standard Webhooks has it (docs/callbacks.md) with
 * the secret that both know, and not an old one that somebody sends again.
 */
export function eventsOf(headers: IncomingHttpHeaders, body: Buffer, secret: string): readonly Delivered[] {
  const [id, time, signatures] = ['id', 'timestamp', 'signature'].map(name => String(headers[`webhook-${name}`])) as [
    string,
    string,
    string,
  ]
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const expected = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest()
  const isRight = signatures
    .split(' ')
    .map(one => Buffer.from(one.replace('v1,', ''), 'base64'))
    .some(signature => signature.length === expected.length && timingSafeEqual(signature, expected))
  if (!isRight || !(Math.abs(Date.now() / 1000 - Number(time)) <= SKEW_SECONDS)) {
    throw new HttpError(401, 'Not signed by the relay, or long ago.')
  }
  return (JSON.parse(body.toString()) as { events: Delivered[] }).events
}
