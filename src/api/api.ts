import swagger from '@fastify/swagger'
import { fastify, type FastifyError, type FastifyInstance } from 'fastify'
import type { Hub } from '../hub/hub.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Scope, ServerIdentity, Trust } from '../trust/trust.ts'
import { authenticate } from './authenticate.ts'
import { clientError, sendProblem } from './problem.ts'
import { batchRoute } from './routes/batch.ts'
import { openapiRoute } from './routes/openapi.ts'
import { publishRoute } from './routes/publish.ts'

export interface ApiParts {
  readonly hub: Hub
  readonly trust: Trust
  readonly metrics: Metrics
  readonly log: Log
  /** Of this program. */
  readonly version: string
}

declare module 'fastify' {
  interface FastifyRequest {
    identity: ServerIdentity
  }
  interface FastifyContextConfig {
    /** What the server token must allow; without one the route is open to all. */
    scope?: Scope
  }
}

const BODY_BYTES = 1_048_576
const REQUEST_WITHIN = 10_000

/** The HTTP port: what origins call. Returns it ready to listen. */
export async function openApi(parts: ApiParts): Promise<FastifyInstance> {
  const { trust, metrics, log, version } = parts
  const app = fastify({
    bodyLimit: BODY_BYTES,
    // A request must be complete in time in all: a byte now and then keeps idle timers happy for ever (CONTRACT 32).
    requestTimeout: REQUEST_WITHIN,
    http: { headersTimeout: REQUEST_WITHIN, connectionsCheckingInterval: 1000 },
    // Longer than the usual proxy's, so that it is never the relay that closes a connection just being used.
    keepAliveTimeout: 75_000,
    routerOptions: { maxParamLength: 128 },
    return503OnClosing: false,
    clientErrorHandler: clientError,
    // Bodies are read by protocol/raw-json, which checks more than a schema can; schemas here describe.
    schemaErrorFormatter: () => new Refusal('bad_field'),
  })
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.decorateRequest('identity')
  app.addHook('onRequest', async request => {
    const { scope } = request.routeOptions.config
    if (scope !== undefined) request.identity = await authenticate(trust, request, scope)
  })

  const methods = new Map<string, string[]>()
  app.addHook('onRoute', ({ path, method }) => {
    methods.set(path, [...(methods.get(path) ?? []), ...[method].flat()])
  })
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.get(request.url.split('?')[0]!)
    metrics.refused('not_found')
    if (allowed === undefined) return sendProblem(reply, new Refusal('not_found'))
    const methodsAllowed = allowed.join(', ')
    void reply.header('Allow', methodsAllowed)
    return sendProblem(reply, new Refusal('not_found', `not with ${request.method}; allowed: ${methodsAllowed}`), 405)
  })
  app.setErrorHandler((error: FastifyError | Refusal, request, reply) => {
    const refusal = error instanceof Refusal ? error : translate(error)
    metrics.refused(refusal.code)
    const site = request.identity?.site.id
    if (refusal.code === 'internal')
      log.error({ site, path: request.routeOptions.url, ...errorFacts(error) }, 'a call failed')
    else log.debug({ site, path: request.routeOptions.url, code: refusal.code }, 'a call was refused')
    return sendProblem(reply, refusal)
  })

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Throughline', version, description: 'The HTTP API of the relay: what origins call.' },
      components: { securitySchemes: { server: { type: 'http', scheme: 'bearer', description: 'A server token' } } },
    },
  })
  publishRoute(app, parts)
  batchRoute(app, parts)
  openapiRoute(app)
  await app.ready()
  return app
}

function translate({ statusCode }: FastifyError): Refusal {
  if (statusCode === 413) return new Refusal('too_large', `a body may have ${BODY_BYTES} bytes`)
  if (statusCode === 415) return new Refusal('unsupported_media_type')
  if (statusCode === 400) return new Refusal('bad_json', 'the body is not as long as Content-Length says')
  return new Refusal('internal')
}
