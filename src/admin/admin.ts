import { fastify, type FastifyInstance } from 'fastify'
import { addCallbacks, type Steer } from './callbacks.ts'

export interface AdminParts {
  readonly metrics: Exposition
  /** The numbers of each site, in the same format. */
  readonly sites: () => Promise<string>
  readonly health: () => Health | Promise<Health>
  readonly steer: Steer
}

/** The numbers in Prometheus' text format. */
export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

export interface Health {
  /** Whether new connections are wanted here. */
  readonly ready: boolean
  readonly busUp: boolean
}

const REQUEST_WITHIN = 10_000

/** The operator's port: metrics, health, and the queues of callbacks. Not for the internet, so it listens on loopback unless told otherwise. */
export function openAdmin({ metrics, sites, health, steer }: AdminParts): FastifyInstance {
  const app = fastify({
    requestTimeout: REQUEST_WITHIN,
    http: { headersTimeout: REQUEST_WITHIN, connectionsCheckingInterval: 1000 },
    // Drained last, so that a probe sees why.
    return503OnClosing: false,
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  app.get('/metrics/sites', async (_request, reply) => reply.type(metrics.contentType).send(await sites()))
  // Alive is who answers: a node without a bus still holds its sockets, and restarting it would help nobody.
  app.get('/healthz', async () => ({ alive: true }))
  app.get('/readyz', async (_request, reply) => {
    const { ready, busUp } = await health()
    return reply.code(ready ? 200 : 503).send({ ready, bus: busUp ? 'up' : 'down' })
  })
  addCallbacks(app, steer)
  return app
}
