import type { PublishRequest } from '../../hub/publish.ts'
import type { SiteId } from '../../protocol/ids.ts'
import { parseJson } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import type { ServerIdentity } from '../../trust/trust.ts'
import type { ApiParts } from '../api.ts'
import { requireScope } from '../authenticate.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readEvent } from '../event.ts'
import { publishedJson } from '../published.ts'
import { Event, Published, Report } from '../schemas.ts'
import { readOnline } from './online.ts'

/** `POST /v1/publish`. The way of an event begins here: see docs/architecture.md. */
export function publishCall({ hub, presence, limits }: ApiParts): Call {
  return {
    path: '/v1/publish',
    scope: 'publish',
    schema: describeCall(
      'Publish an event',
      'Gives the event its place in the chain of each target and hands it to every client that listens. `id` makes the call idempotent for 5 minutes. With `report=online` the answer tells which of `to.users` are online.',
      Event,
      Published,
      Report,
    ),
    run(identity, body, _path, query) {
      const { site } = identity
      const reports = query.size > 0 && readReport(query, identity)
      limits.publish(site)
      const event = readEvent(parseJson(body, 'event'), body, '', site.limits.dataBytes)
      if (reports) return publishAndReport(site.id, event)
      const published = hub.publish(site.id, event)
      return published instanceof Promise ? published.then(later => publishedJson(later)) : publishedJson(published)
    },
  }

  async function publishAndReport(site: SiteId, event: PublishRequest): Promise<string> {
    if (!('users' in event.to)) throw new Refusal('bad_target', 'report=online needs to.users', { pointer: '/to' })
    // Read first: an event that was published must not look as if it had failed.
    const online = await readOnline(presence, site, event.to.users)
    return publishedJson(await hub.publish(site, event), online)
  }
}

function readReport(query: URLSearchParams, identity: ServerIdentity): boolean {
  for (const [name, value] of query) {
    if (name !== 'report' || value !== 'online')
      throw new Refusal('bad_field', 'the one query parameter is report=online')
  }
  requireScope(identity, 'presence')
  return true
}
