import { parseJson } from '../../protocol/raw-json.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readEvent } from '../event.ts'
import { Event, Published } from '../schemas.ts'

/** `POST /v1/publish`. The way of an event begins here: see docs/architecture.md. */
export function publishCall({ hub, limits }: ApiParts): Call {
  return {
    path: '/v1/publish',
    scope: 'publish',
    schema: describeCall(
      'Publish an event',
      'Gives the event its place in the chain of each target and hands it to every client that listens. `id` makes the call idempotent for 5 minutes.',
      Event,
      Published,
    ),
    async run(site, body) {
      limits.publish(site)
      return hub.publish(site.id, readEvent(parseJson(body, 'event'), body, '', site.limits.dataBytes))
    },
  }
}
