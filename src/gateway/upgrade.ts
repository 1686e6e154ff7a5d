import type * as UWS from 'uws-20.56'
import type { Connection } from '../connection/connection.ts'

/** What uWebSockets keeps for us with each socket. */
export interface SocketData {
  webOrigin: string | undefined
  connection: Connection | undefined
}

const PROTOCOL = 'throughline.v1'

/** Makes a WebSocket of an HTTP request, at once: who it is, the first frame tells. */
export function upgrade(
  response: UWS.HttpResponse,
  request: UWS.HttpRequest,
  context: UWS.us_socket_context_t,
  draining: boolean,
): void {
  const offered = request.getHeader('sec-websocket-protocol')
  if (draining) {
    response.writeStatus('503 Service Unavailable').writeHeader('Retry-After', '1').end('draining')
    return
  }
  const protocols = offered.split(',').map(name => name.trim())
  if (offered !== '' && !protocols.includes(PROTOCOL)) {
    response.writeStatus('400 Bad Request').end(`the sub-protocol, if any, is ${PROTOCOL}`)
    return
  }
  const webOrigin = request.getHeader('origin')
  response.upgrade<SocketData>(
    { webOrigin: webOrigin === '' ? undefined : webOrigin, connection: undefined },
    request.getHeader('sec-websocket-key'),
    offered === '' ? '' : PROTOCOL,
    request.getHeader('sec-websocket-extensions'),
    context,
  )
}
