import type { QueueStatus } from '../../callbacks/queue.ts'
import { parseJson } from '../../protocol/raw-json.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readOnly } from '../fields.ts'
import { Done, Queue } from '../schemas.ts'

/** `GET /v1/callbacks`. */
export function callbacksCall({ callbacks, clock }: ApiParts): Call {
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
    run: async ({ site }) => describe(await callbacks.status(site.id), clock.now()),
  }
}

/** `POST /v1/callbacks/retry`. */
export function retryCall({ callbacks }: ApiParts): Call {
  return {
    path: '/v1/callbacks/retry',
    scope: 'manage',
    bodyOptional: true,
    schema: describeCall(
      'Call the callback again now',
      'What waits for the site is sent at once, and not only at the next attempt; also after a 410.',
      Done,
      Done,
    ),
    async run({ site }, body) {
      if (body.length > 0) readOnly(parseJson(body, 'batch'), [])
      await callbacks.retry(site.id)
      return {}
    },
  }
}

function describe({ state, depth, oldest, next, error }: QueueStatus, now: number): object {
  const age = oldest === undefined ? undefined : Math.max(0, now - oldest) / 1000
  return { state, depth, age, next_attempt: next, last_error: error }
}
