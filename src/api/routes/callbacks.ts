import { type Deed, DEEDS } from '../../callbacks/steer.ts'
import { parseJson } from '../../protocol/raw-json.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readOnly } from '../fields.ts'
import { Done, Dropped, Queue } from '../schemas.ts'

/** `GET /v1/callbacks`. */
export function callbacksCall({ callbacks }: ApiParts): Call {
  return {
    method: 'GET',
    path: '/v1/callbacks',
    scope: 'manage',
    schema: describeCall(
      'See how the queue of the callback stands',
      'What waits for the site, since when, what went wrong last, and when it is tried again.',
      undefined,
      Queue,
    ),
    run: ({ site }) => callbacks.steer(site.id, 'show'),
  }
}

const SAYS: Readonly<Record<Deed, readonly [summary: string, description: string]>> = {
  retry: [
    'Call the callback again now',
    'What waits for the site is sent at once, and not only at the next attempt; also after a 410.',
  ],
  pause: ['Send the callback nothing for a while', 'What is to be told waits until the queue is resumed.'],
  resume: ['Go on after a pause', 'What waits for the site is sent at once.'],
  drop: ['Empty the queue of the callback', 'What waits for the site will never be sent.'],
}

/** `POST /v1/callbacks/retry`, `pause`, `resume` and `drop`. */
export function steerCalls({ callbacks }: ApiParts): Call[] {
  return DEEDS.map(deed => ({
    path: `/v1/callbacks/${deed}`,
    scope: 'manage',
    bodyOptional: true,
    schema: describeCall(...SAYS[deed], Done, deed === 'drop' ? Dropped : Done),
    async run({ site }, body) {
      if (body.length > 0) readOnly(parseJson(body, 'batch'), [])
      return callbacks.steer(site.id, deed)
    },
  }))
}
