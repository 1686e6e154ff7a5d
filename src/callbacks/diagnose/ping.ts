import type { Clock } from '../../lib/clock.ts'
import { randomId } from '../../lib/random.ts'
import type { Posted, Poster } from '../post.ts'
import { type Signer, signatureHeaders } from '../sign.ts'

export interface Ping {
  readonly site: string
  readonly signer: Signer
  readonly poster: Poster
  readonly clock: Clock
  readonly timeoutMs: number
}

export interface Ponged extends Posted {
  /** Whether the challenge came back: alone, or after other output, such as a notice of PHP. */
  readonly came: 'alone' | 'after output' | 'not'
}

/** Posts a signed `ping` with a challenge. `forged` has it signed by nobody. Rejects with a PostFault. */
export async function ping(
  { site, signer, poster, clock, timeoutMs }: Ping,
  url: URL,
  forged = false,
): Promise<Ponged> {
  const challenge = randomId(18)
  const id = `msg_${randomId(12)}`
  const now = clock.now()
  const event = { id, type: 'ping', at: now, data: { challenge } }
  const body = JSON.stringify({ site, events: [event] })
  // Signed right, but for other bytes: whoever verifies notices, whoever only looks for headers does not.
  const signed = signatureHeaders(signer, id, Math.floor(now / 1000), forged ? `${body} ` : body)
  const posted = await poster.post(url, signed, body, timeoutMs)
  return { ...posted, came: came(posted, challenge) }
}

// An echo of the whole request proves nothing, so the challenge has to stand in an object of its own.
function came({ status, body }: Posted, challenge: string): Ponged['came'] {
  if (status < 200 || status > 299) return 'not'
  const answer = /\{\s*"challenge"\s*:\s*"([\w-]+)"\s*\}\s*$/.exec(body)
  if (answer?.[1] !== challenge) return 'not'
  return body.slice(0, answer.index).trim() === '' ? 'alone' : 'after output'
}
