import type * as UWS from 'uws-20.56'
import type { BrowserCalls } from '../protocol/http.ts'
import { Refusal } from '../protocol/refusal.ts'
import { send, wholeRequest } from './exchange.ts'
import type { Door } from './upgrade.ts'

/**
 * Answers a browser's call on the WebSocket port. It counts as an attempt of its address, as a socket does, and ends its
 * connection, not before the next turn, for the reason that `refuse` gives.
 */
export function answerBrowser(
  response: UWS.HttpResponse,
  request: UWS.HttpRequest,
  calls: BrowserCalls,
  door: Door,
): void {
  let gone = false
  response.onAborted(() => {
    gone = true
  })
  const refusal = refusalAt(door, response, request)
  const answered = calls.answer(wholeRequest(request), refusal)
  setImmediate(() => {
    void answered.then(answer => {
      if (!gone) send(response, answer, true)
    })
  })
}

function refusalAt(
  { draining, peers, limits }: Door,
  response: UWS.HttpResponse,
  request: UWS.HttpRequest,
): Refusal | undefined {
  if (draining) return new Refusal('draining', undefined, { retryAfter: 1 })
  const wait = limits.addresses.attempt(peers.of(response, request))
  return wait === 0 ? undefined : new Refusal('rate_limited', 'from one address', { retryAfter: wait })
}
