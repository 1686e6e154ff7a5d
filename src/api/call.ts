import { errorFacts } from '../observe/log.ts'
import { parseTraceparent } from '../observe/tracing.ts'
import type { HttpAnswer, HttpRequest } from '../protocol/http.ts'
import type { SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Scope, ServerIdentity } from '../trust/trust.ts'
import type { FastifySchema } from 'fastify'
import type { ApiParts } from './api.ts'
import { authenticate } from './authenticate.ts'
import { problem } from '../protocol/problem.ts'

/** One call of the API: GET, or POST with a JSON body. */
export interface Call {
  /** POST if left out. */
  readonly method?: 'GET'
  /** As fastify writes it: `/v1/users/:user/disconnect`. */
  readonly path: string
  /** What the server token must allow. */
  readonly scope: Scope
  readonly schema: FastifySchema
  readonly bodyOptional?: true
  /**
   * Does what is asked and returns what to answer: a string is JSON. `path` has what stands in the path. Throws a Refusal,
   * or rejects with one.
   */
  run(
    identity: ServerIdentity,
    body: Buffer,
    path: PathValues,
    query: URLSearchParams,
  ): string | Promise<string | object>
}

export type PathValues = Readonly<Record<string, string>>

const NONE: PathValues = {}
const NO_QUERY = new URLSearchParams()
export const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }
const NOT_KEPT = { ...JSON_TYPE, 'cache-control': 'no-store' }
const IS_JSON = /^application\/json *(;|$)/i

/** Answers a call: who asks is known before the body is looked at. Never rejects. */
export async function answer(
  call: Call,
  request: HttpRequest,
  parts: ApiParts,
  path: PathValues = NONE,
): Promise<HttpAnswer> {
  let site: SiteId | undefined
  try {
    const identity = await authenticate(parts.trust, request.headers, call.scope)
    site = identity.site.id
    const { headers, body } = request
    const nothing = call.method === 'GET' || (call.bodyOptional === true && body.length === 0)
    if (!nothing && !IS_JSON.test(headers['content-type'] ?? '')) throw new Refusal('unsupported_media_type')
    const query = queryOf(request.url)
    const { tracing } = parts
    const done =
      tracing === undefined
        ? call.run(identity, body, path, query)
        : tracing.within(
            {
              name: `${call.method ?? 'POST'} ${call.path}`,
              kind: 'server',
              parent: parseTraceparent(headers['traceparent']),
              facts: { site },
            },
            async () => call.run(identity, body, path, query),
          )
    const says = await done
    return {
      status: 200,
      headers: call.method === 'GET' ? NOT_KEPT : JSON_TYPE,
      body: typeof says === 'string' ? says : JSON.stringify(says),
    }
  } catch (error) {
    return refuse(error, call.path, parts, site)
  }
}

/** Returns the answer to what any other port was asked for in the API's stead. Never rejects. */
export async function answerFor(
  asked: Promise<object>,
  path: string,
  parts: Pick<ApiParts, 'metrics' | 'log'>,
): Promise<HttpAnswer> {
  try {
    return { status: 200, headers: NOT_KEPT, body: JSON.stringify(await asked) }
  } catch (error) {
    return refuse(error, path, parts)
  }
}

function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?')
  return start === -1 ? NO_QUERY : new URLSearchParams(url.slice(start))
}

/** Returns the answer to what went wrong, counted and logged: a refusal in its own words, anything else as `internal`. */
export function refuse(
  error: unknown,
  path: string,
  { metrics, log }: Pick<ApiParts, 'metrics' | 'log'>,
  site?: SiteId,
): HttpAnswer {
  const refusal = error instanceof Refusal ? error : new Refusal('internal')
  metrics.refused(refusal.code, refusal.site ?? site)
  if (refusal === error) log.debug({ path, code: refusal.code }, 'a call was refused')
  else log.error({ path, ...errorFacts(error) }, 'a call failed')
  return problem(refusal)
}
