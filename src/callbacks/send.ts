import type { KeyObject } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { jittered } from '../lib/backoff.ts'
import { type Tracing, traceparentText } from '../observe/tracing.ts'
import type { Callback } from '../trust/trust.ts'
import { type Posted, type Poster, PostFault } from './post.ts'
import type { Batch, Outcome } from './queue.ts'
import { signatureHeaders } from './sign.ts'

/** Milliseconds (CONTRACT 34). */
const TIMEOUT = 15_000
const RETRY = { least: 1000, first: 5000, cap: 600_000 } as const
/** Milliseconds that an origin may ask us to wait. */
const LONGEST_WAIT = 3_600_000

export interface SendParts {
  readonly poster: Poster
  /** Returns the relay's own key. */
  readonly key: () => Promise<KeyObject>
  readonly clock: Clock
  /** Undefined when nothing is traced. */
  readonly tracing?: Tracing | undefined
}

/** Posts a batch, and returns what is to become of it. Never rejects. */
export async function send(
  { poster, key, clock, tracing }: SendParts,
  callback: Callback,
  batch: Batch,
): Promise<Outcome> {
  const backoff = jittered(batch.attempt, RETRY.least, RETRY.first, RETRY.cap)
  try {
    const signer = { secrets: callback.secrets, key: await key() }
    const now = clock.now()
    const headers = signatureHeaders(signer, batch.id, Math.floor(now / 1000), batch.body)
    const url = new URL(callback.url)
    const answer = await (tracing === undefined
      ? poster.post(url, headers, batch.body, TIMEOUT)
      : traced(tracing, poster, url, headers, batch))
    const { status } = answer
    if (status >= 200 && status < 300) return { kind: 'ok' }
    const error = `the origin answered ${status}${status >= 300 && status < 400 ? ', and redirects are not followed' : ''}`
    if (status === 410) return { kind: 'gone', error }
    const asked = Math.min(retryAfter(answer.headers['retry-after'], clock.now()), LONGEST_WAIT)
    return { kind: 'retry', error, delayMs: Math.max(backoff, asked) }
  } catch (error) {
    const what = error instanceof PostFault ? `${error.fault}: ${error.message}` : (error as Error).message
    return { kind: 'retry', error: what.slice(0, 200), delayMs: backoff }
  }
}

/** Posts as a span, of which the origin is told, so that what it does can be a part of it. */
function traced(
  tracing: Tracing,
  poster: Poster,
  url: URL,
  headers: Readonly<Record<string, string>>,
  { id, attempt, body }: Batch,
): Promise<Posted> {
  const facts = { host: url.host, webhook_id: id, attempt }
  return tracing.within({ name: 'callback', kind: 'client', facts }, async () => {
    const { current } = tracing
    const told = current === undefined ? headers : { ...headers, traceparent: traceparentText(current) }
    const answer = await poster.post(url, told, body, TIMEOUT)
    tracing.note({ status: answer.status })
    return answer
  })
}

/** Returns in how many milliseconds (RFC 9110 §10.2.3), 0 when nothing is said. */
function retryAfter(value: string | undefined, now: number): number {
  if (value === undefined) return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return ms > 0 ? ms : 0
}
