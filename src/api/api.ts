import swagger from '@fastify/swagger'
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Callbacks } from '../callbacks/callbacks.ts'
import type { CallbackKeys } from '../callbacks/keys.ts'
import type { Poster } from '../callbacks/post.ts'
import type { Hub } from '../hub/hub.ts'
import type { Log } from '../observe/log.ts'
import type { Limits } from '../limits/limits.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Tracing } from '../observe/tracing.ts'
import type { HttpAnswer, HttpCalls, HttpRequest } from '../protocol/http.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Presence } from '../presence/presence.ts'
import type { Clock } from '../lib/clock.ts'
import type { Ice, Trust } from '../trust/trust.ts'
import { answer, type Call, type PathValues, refuse } from './call.ts'
import { problem } from '../protocol/problem.ts'
import { batchCall } from './routes/batch.ts'
import { callbackTestCall } from './routes/callback-test.ts'
import { callbacksCall, steerCalls } from './routes/callbacks.ts'
import { disconnectCall } from './routes/disconnect.ts'
import { gapsCall } from './routes/gaps.ts'
import { headsCall } from './routes/heads.ts'
import { iceCall } from './routes/ice.ts'
import { answerKeys, KEYS_PATH, KEYS_SCHEMA } from './routes/keys.ts'
import { membersCall } from './routes/members.ts'
import { onlineCall } from './routes/online.ts'
import { publishCall } from './routes/publish.ts'
import { threadPresenceCall } from './routes/thread-presence.ts'

export interface ApiParts {
  readonly hub: Hub
  readonly presence: Presence
  readonly trust: Trust
  readonly callbacks: Callbacks
  readonly callbackKeys: CallbackKeys
  readonly poster: Poster
  /** Networks that callbacks may reach although they are private. */
  readonly callbackAllow: readonly string[]
  readonly limits: Limits
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Clock
  /** Undefined when nothing is traced. */
  readonly tracing: Tracing | undefined
  /** For sites that have none of their own. */
  readonly ice: Ice | undefined
  /** Of this program. */
  readonly version: string
}

const HOT_HEADERS = ['authorization', 'content-type', 'throughline-licence']
/** Bytes of a body. */
const BODY_BYTES = 1_048_576

/** Returns what origins call. It has no port: `main` ties it to one. */
export async function openApi(parts: ApiParts): Promise<HttpCalls> {
  const hot = [publishCall(parts), batchCall(parts)]
  const cold = [
    headsCall(parts),
    gapsCall(parts),
    membersCall(parts),
    disconnectCall(parts),
    onlineCall(parts),
    threadPresenceCall(parts),
    iceCall(parts),
    callbacksCall(parts),
    ...steerCalls(parts),
    callbackTestCall(parts),
  ]
  const app = await openRouter([...hot, ...cold], parts)
  return {
    bodyBytes: BODY_BYTES,
    hotHeaders: parts.tracing === undefined ? HOT_HEADERS : [...HOT_HEADERS, 'traceparent'],
    hot: new Map(hot.map(call => [call.path, request => answer(call, request, parts)] as const)),
    tooLarge: () => refuse(new Refusal('too_large', `a body may have ${BODY_BYTES} bytes`), '', parts),
    answer: async request => {
      // A path such as `/\` is none, and inject would throw.
      if (!URL.canParse(request.url, 'http://localhost')) return refuse(new Refusal('not_found'), request.url, parts)
      return inject(app, request).catch((error: unknown) => refuse(error, request.url, parts))
    },
  }
}

const NOTHING = Buffer.alloc(0)
// The port writes these itself, and has read by them: what the body was framed by is no length of it.
const PORT_HEADERS = new Set(['connection', 'keep-alive', 'content-length', 'transfer-encoding', 'date'])

async function inject(app: FastifyInstance, { method, url, headers, body }: HttpRequest): Promise<HttpAnswer> {
  const answer = await app.inject({ method, url, headers: withoutPort(headers), payload: body })
  return { status: answer.statusCode, headers: withoutPort(answer.headers), body: answer.rawPayload }
}

function withoutPort(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => !PORT_HEADERS.has(name))
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)] as const))
}

/**
 * Routes what the port does not take for hot: the cold calls, and a hot one whose path is written in another way, such as
 * `/v1/%70ublish` (RFC 3986 §6.2.2.2).
 */
async function openRouter(calls: readonly Call[], parts: ApiParts): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: BODY_BYTES,
    routerOptions: { maxParamLength: 128 },
    // A path that does not decode, which no route or error handler gets to see.
    frameworkErrors: (_error, _request, reply) => void send(reply as unknown as FastifyReply, notFound()),
  })
  // Bodies are read by protocol/raw-json, which checks more than a schema can; the schemas describe.
  app.setValidatorCompiler(() => () => true)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Throughline',
        version: parts.version,
        description: 'The HTTP API of the relay: what origins call.',
      },
      components: { securitySchemes: { server: { type: 'http', scheme: 'bearer', description: 'A server token' } } },
    },
  })
  const methods = new Map<string, string>()
  app.addHook('onRoute', ({ path, method }) => {
    methods.set(path, [methods.get(path) ?? [], method].flat().join(', '))
  })
  for (const call of calls) {
    app.route({
      method: call.method ?? 'POST',
      url: call.path,
      schema: call.schema,
      handler: async ({ method, url, headers, body, params }, reply) => {
        const request = { method, url, headers: headers as HttpRequest['headers'], body: (body as Buffer) ?? NOTHING }
        return send(reply, await answer(call, request, parts, params as PathValues))
      },
    })
  }
  app.get(KEYS_PATH, { schema: KEYS_SCHEMA }, async (_request, reply) => send(reply, await answerKeys(parts)))
  app.get('/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  app.setNotFoundHandler(({ url, method }, reply) => {
    const allowed = methods.get(url.split('?')[0]!)
    if (allowed === undefined) return send(reply, notFound())
    return send(reply.header('allow', allowed), notFound(`not with ${method}; allowed: ${allowed}`, 405))
  })
  app.setErrorHandler((error, { routeOptions }, reply) => {
    // A Content-Type that is none (RFC 9110 §8.3.1) stops fastify before any handler.
    const noType = (error as { code?: unknown }).code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE'
    return send(reply, refuse(noType ? new Refusal('unsupported_media_type') : error, routeOptions.url ?? '', parts))
  })
  await app.ready()
  return app

  function notFound(detail?: string, status?: number): HttpAnswer {
    parts.metrics.refused('not_found')
    return problem(new Refusal('not_found', detail), status)
  }
}

function send(reply: FastifyReply, { status, headers, body }: HttpAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body)
}
