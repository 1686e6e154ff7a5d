import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Deed, DEEDS } from '../callbacks/steer.ts'
import type { HttpAnswer } from '../protocol/http.ts'
import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { problem } from '../protocol/problem.ts'
import { parseJson } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'

/** Shows a site's queue of callbacks, or does something about it, as the API does for the site itself. Never rejects. */
export type Steer = (site: SiteId, deed: Deed | 'show') => Promise<HttpAnswer>

const BODY_BYTES = 1024

/** Adds the operator's calls about any site's callbacks: `GET /callbacks?site=ID`, and POST with `{"site": "ID"}`. */
export function addCallbacks(app: FastifyInstance, steer: Steer): void {
  app.removeAllContentTypeParsers()
  // JSON only: a form of some page in the operator's browser cannot send it.
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: BODY_BYTES }, (_request, body, done) =>
    done(null, body),
  )
  app.get('/callbacks', { errorHandler }, async ({ query }, reply) => send(reply, await steer(siteIn(query), 'show')))
  for (const deed of DEEDS) {
    app.post(`/callbacks/${deed}`, { errorHandler }, async (request, reply) =>
      send(reply, await steer(siteIn(bodyOf(request)), deed)),
    )
  }
}

function bodyOf({ headers, body }: FastifyRequest): object {
  // Nor may a page whose name was made to resolve to this port; browsers always say which page it is.
  if (headers.origin !== undefined) throw new Refusal('origin_not_allowed', 'no page may call this port')
  if (!(body instanceof Buffer)) throw new Refusal('unsupported_media_type')
  return parseJson(body, 'batch')
}

function siteIn(fields: unknown): SiteId {
  const { site, ...others } = fields as Record<string, unknown>
  const id = typeof site === 'string' ? parseSiteId(site) : undefined
  if (id !== undefined && Object.keys(others).length === 0) return id
  throw new Refusal('bad_field', 'say the site by its id, and nothing else', { pointer: '/site' })
}

function errorHandler(error: unknown, _request: FastifyRequest, reply: FastifyReply): void {
  void send(reply, problem(error instanceof Refusal ? error : new Refusal(codeOf(error))))
}

function codeOf(error: unknown): 'unsupported_media_type' | 'too_large' | 'internal' {
  const { statusCode } = error as { statusCode?: unknown }
  return statusCode === 415 ? 'unsupported_media_type' : statusCode === 413 ? 'too_large' : 'internal'
}

function send(reply: FastifyReply, { status, headers, body }: HttpAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body)
}
