import type { FastifyInstance } from 'fastify'
import { parseJson } from '../../protocol/raw-json.ts'
import type { ApiParts } from '../api.ts'
import { bodyOf } from '../body.ts'
import { describeCall } from '../describe.ts'
import { readEvent } from '../event.ts'
import { Event, Published } from '../schemas.ts'

const schema = describeCall(
  'Publish an event',
  'Gives the event its place in the chain of each target and hands it to every client that listens. `id` makes the call idempotent for 5 minutes.',
  Event,
  Published,
)

/** `POST /v1/publish`. The way of an event begins here: see docs/architecture.md. */
export function publishRoute(app: FastifyInstance, { hub }: ApiParts): void {
  app.post('/v1/publish', { schema, config: { scope: 'publish' } }, async request => {
    const { site } = request.identity
    const body = bodyOf(request)
    return hub.publish(site.id, readEvent(parseJson(body, 'event'), body, '', site.limits.dataBytes))
  })
}
