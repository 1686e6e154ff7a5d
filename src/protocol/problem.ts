import { CODES } from './codes.ts'
import type { HttpAnswer } from './http.ts'
import type { Refusal } from './refusal.ts'

/** Returns a refusal as a problem (RFC 9457). `status` is given where HTTP knows better than the code. */
export function problem(refusal: Refusal, status: number = CODES[refusal.code].http): HttpAnswer {
  const { code, message, pointer, retryAfter } = refusal
  return {
    status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      // RFC 6750 §3: who is asked to authenticate is told how.
      ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    },
    body: JSON.stringify({ type: 'about:blank', title: CODES[code].says, status, code, detail: message, pointer }),
  }
}
