import { fastify, type FastifyInstance } from 'fastify'
import type { PrometheusMetrics } from '../observe/prometheus.ts'

export interface AdminParts {
  readonly metrics: PrometheusMetrics
  readonly busUp: () => boolean
  readonly draining: () => boolean
}

const REQUEST_WITHIN = 10_000

/** The operator's port: metrics and health. Not for the internet, so it listens on loopback unless told otherwise. */
export function openAdmin({ metrics, busUp, draining }: AdminParts): FastifyInstance {
  const app = fastify({
    requestTimeout: REQUEST_WITHIN,
    http: { headersTimeout: REQUEST_WITHIN, connectionsCheckingInterval: 1000 },
    // Drained last, so that a probe sees why.
    return503OnClosing: false,
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  // Alive is who answers: a node without a bus still holds its sockets, and restarting it would help nobody.
  app.get('/healthz', async () => ({ alive: true }))
  app.get('/readyz', async (_request, reply) => {
    const ready = !draining()
    return reply.code(ready ? 200 : 503).send({ ready, bus: busUp() ? 'up' : 'down' })
  })
  return app
}
