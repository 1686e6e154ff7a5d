import { endOfTick } from '../../lib/clock.ts'
import { parseJson, type Json } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import type { Site } from '../../trust/trust.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readEvent } from '../event.ts'
import { readOnly } from '../fields.ts'
import { publishedJson } from '../published.ts'
import { Batch, Results } from '../schemas.ts'

const EVENTS = 1000

/** `POST /v1/publish/batch`. */
export function batchCall({ hub, limits, metrics }: ApiParts): Call {
  return {
    path: '/v1/publish/batch',
    scope: 'publish',
    schema: describeCall(
      'Publish up to 1,000 events',
      'Publishes in the order given, each event on its own: one that is refused holds up none of the others.',
      Batch,
      Results,
    ),
    async run({ site }, body) {
      // Outside the port's handler events need not be gathered until all its requests of this turn were read: see flush below.
      await endOfTick()
      limits.publish(site)
      const { events } = readOnly(parseJson(body, 'batch'), ['events'])
      if (!Array.isArray(events) || events.length === 0 || events.length > EVENTS) {
        throw new Refusal('bad_field', `events is a list of 1 to ${EVENTS}`, { pointer: '/events' })
      }
      limits.publishMore(site, events.length - 1)
      // All are handed over before the first is waited for, so they keep their order and share round trips.
      const attempts = events.map((event, i) => attempt(event, body, `/events/${i}`, site))
      // Kept until the turn is over, the events of many batches would grow old, and cost the collector more than anything else.
      hub.flush()
      const outcomes = attempts.some(each => each instanceof Promise)
        ? await Promise.all(attempts.map(async each => each))
        : (attempts as Outcome[])
      const refusals = outcomes.filter(outcome => outcome instanceof Refusal)
      for (const { code } of refusals) metrics.refused(code, site.id)
      if (refusals.length === outcomes.length && refusals.every(({ code }) => code === 'bus_down')) throw refusals[0]!
      return `{"results":[${outcomes.map(outcome => (outcome instanceof Refusal ? describe(outcome) : outcome)).join()}]}`
    },
  }

  function attempt(event: Json, body: Buffer, at: string, site: Site): Outcome | Promise<Outcome> {
    try {
      const published = hub.publish(site.id, readEvent(event, body, at, site.limits.dataBytes))
      if (!(published instanceof Promise)) return publishedJson(published)
      return published.then(later => publishedJson(later)).catch(refusal)
    } catch (error) {
      return refusal(error)
    }
  }
}

/** What came of an event: what to say of it, as JSON, or why it was not published. */
type Outcome = string | Refusal

function refusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  throw error
}

function describe({ code, message, pointer }: Refusal): string {
  return JSON.stringify({ error: { code, message, pointer } })
}
