import type { FastifyInstance } from 'fastify'

/** `GET /v1/openapi.json`: this API, described (OpenAPI 3.1). */
export function openapiRoute(app: FastifyInstance): void {
  app.get('/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
