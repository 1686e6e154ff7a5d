import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { CODES } from '../protocol/codes.ts'
import type { Refusal } from '../protocol/refusal.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** Answers with a problem (RFC 9457). `status` is given where HTTP knows better than the code. */
export function sendProblem(
  reply: FastifyReply,
  refusal: Refusal,
  status: number = CODES[refusal.code].http,
): FastifyReply {
  const { code, message, pointer, retryAfter } = refusal
  if (retryAfter !== undefined) void reply.header('Retry-After', String(retryAfter))
  // RFC 6750 §3: who is asked to authenticate is told how.
  if (status === 401) void reply.header('WWW-Authenticate', 'Bearer')
  const problem = { type: 'about:blank', title: CODES[code].says, status, code, detail: message, pointer }
  return reply.code(status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
}

/** Answers what is not even HTTP, or came too slowly; no request exists then. */
export function clientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const status = late
    ? '408 Request Timeout'
    : error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : '400 Bad Request'
  const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'too_large' : 'bad_field'
  const detail = late ? 'the request was not complete in time' : 'not an HTTP request, or its headers are too large'
  const body = JSON.stringify({
    type: 'about:blank',
    title: status.slice(4),
    status: Number(status.slice(0, 3)),
    code,
    detail,
  })
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
