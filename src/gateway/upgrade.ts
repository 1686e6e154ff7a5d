import type * as UWS from 'uws-20.56'
import type { Connection } from '../connection/connection.ts'
import type { Peer } from '../limits/addresses.ts'
import type { Limits } from '../limits/limits.ts'
import type { PeerAddresses } from './peer-address.ts'

/** What uWebSockets keeps for us with each socket. */
export interface SocketData {
  webOrigin: string | undefined
  peer: Peer | undefined
  connection: Connection | undefined
}

/** What decides who may come in. */
export interface Door {
  readonly peers: PeerAddresses
  readonly limits: Limits
  readonly draining: boolean
}

const PROTOCOL = 'throughline.v1'

/** Makes a WebSocket of an HTTP request, at once: who it is, the first frame tells. */
export function upgrade(
  response: UWS.HttpResponse,
  request: UWS.HttpRequest,
  context: UWS.us_socket_context_t,
  { peers, limits, draining }: Door,
): void {
  if (draining) return refuse(response, '503 Service Unavailable', 'draining', 1)
  const peer = peers.of(response, request)
  const wait = limits.addresses.attempt(peer)
  if (wait > 0) return refuse(response, '429 Too Many Requests', 'too many connections from this address', wait)
  const offered = request.getHeader('sec-websocket-protocol')
  if (offered !== '' && !namesOurs(offered)) {
    return refuse(response, '400 Bad Request', `the sub-protocol, if any, is ${PROTOCOL}`)
  }
  const webOrigin = request.getHeader('origin')
  response.upgrade<SocketData>(
    { webOrigin: webOrigin === '' ? undefined : webOrigin, peer, connection: undefined },
    request.getHeader('sec-websocket-key'),
    offered === '' ? '' : PROTOCOL,
    request.getHeader('sec-websocket-extensions'),
    context,
  )
}

function namesOurs(offered: string): boolean {
  return offered.split(',').some(name => name.trim() === PROTOCOL)
}

/**
 * Answers a request that becomes no WebSocket, and closes its connection. Not before the next turn: until then
 * uWebSockets ends the connection if more follows. Otherwise the client of a proxy that speaks the PROXY protocol could
 * send a second request behind the first, with a PROXY header of its own making before it, and so choose its address.
 */
export function refuse(response: UWS.HttpResponse, status: string, says: string, retryAfter?: number): void {
  let gone = false
  response.onAborted(() => {
    gone = true
  })
  setImmediate(() => {
    if (gone) return
    response.cork(() => {
      response.writeStatus(status)
      if (retryAfter !== undefined) response.writeHeader('Retry-After', String(retryAfter))
      response.end(`${says}\n`, true)
    })
  })
}
