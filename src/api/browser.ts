import { checkStillTrusted, checkWebOrigin } from '../connection/connect.ts'
import type { BrowserCalls, HttpAnswer, HttpRequest } from '../protocol/http.ts'
import { Refusal } from '../protocol/refusal.ts'
import { userTopic } from '../protocol/topic.ts'
import type { ApiParts } from './api.ts'
import { bearerOf } from './authenticate.ts'
import { JSON_TYPE, refuse } from './call.ts'
import { problem } from '../protocol/problem.ts'
import { answerIce } from './routes/ice.ts'

type Parts = Pick<ApiParts, 'trust' | 'hub' | 'ice' | 'clock' | 'metrics' | 'log'>

const PATH = '/v1/ice'
const METHODS = 'GET, OPTIONS'
// What a browser asks before a call with these headers. It carries no token, so nobody can tell yet which site is meant.
const PREFLIGHT = {
  'access-control-allow-methods': 'GET',
  'access-control-allow-headers': 'authorization, throughline-licence',
  // Seconds: as long as any browser goes by it.
  'access-control-max-age': '7200',
}

/** Returns the one call that browsers make beside their WebSocket, on its port: `GET /v1/ice`, with a user token. */
export function openBrowserCalls(parts: Parts): BrowserCalls {
  return {
    path: PATH,
    async answer(request, refusal) {
      const { origin } = request.headers
      try {
        if (refusal !== undefined) throw refusal
        return readable(await answer(request, parts), origin)
      } catch (error) {
        const elsewhere = error instanceof Refusal && error.code === 'origin_not_allowed'
        return readable(refuse(error, PATH, parts), elsewhere ? undefined : origin)
      }
    },
  }
}

async function answer({ method, headers }: HttpRequest, parts: Parts): Promise<HttpAnswer> {
  if (method === 'OPTIONS') return { status: 200, headers: { allow: METHODS, ...PREFLIGHT }, body: '' }
  if (method !== 'GET') {
    parts.metrics.refused('not_found')
    const { status, headers, body } = problem(new Refusal('not_found', `not with ${method}; allowed: ${METHODS}`), 405)
    return { status, headers: { ...headers, allow: METHODS }, body }
  }
  const identity = await parts.trust.verifyUser(bearerOf(headers, 'user'), headers['throughline-licence'])
  checkWebOrigin(identity, headers['origin'])
  const { site, user } = identity
  // As with a connection: first what was taken back is known, then it is looked at. Mostly the user is connected here, and
  // its chain followed already.
  await parts.hub.follow([userTopic(site.id, user)])
  checkStillTrusted(identity, parts)
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify(answerIce(parts, site, user)) }
}

/**
 * Lets the pages of an origin read an answer. Credentials are only answered to the site's own, and refusals of a token hold
 * nothing that a WebSocket would not tell any page.
 */
function readable({ status, headers, body }: HttpAnswer, origin: string | undefined): HttpAnswer {
  const always = { ...headers, vary: 'origin', 'cache-control': 'no-store' }
  if (origin === undefined) return { status, headers: always, body }
  const cors = { 'access-control-allow-origin': origin, 'access-control-expose-headers': 'retry-after' }
  return { status, headers: { ...always, ...cors }, body }
}
