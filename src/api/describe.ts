import type { FastifySchema } from 'fastify'
import type { TObject, TSchema } from 'typebox'
import { Problem } from './schemas.ts'

/** What OpenAPI says of a call beside its body and its answer: the same for all. */
export function describeCall(
  summary: string,
  description: string,
  body: TSchema | undefined,
  answer: TSchema,
  querystring?: TObject,
): FastifySchema {
  return {
    summary,
    description,
    security: [{ server: [] }],
    ...(body === undefined ? {} : { body }),
    ...(querystring === undefined ? {} : { querystring }),
    response: {
      200: { description: 'Done', content: { 'application/json': { schema: answer } } },
      '4xx': problem('Refused: nothing was done'),
      503: problem('The bus is down: send the same call again, with the same id'),
    },
  }
}

function problem(says: string): object {
  return { description: says, content: { 'application/problem+json': { schema: Problem } } }
}
