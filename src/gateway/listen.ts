import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type * as UWS from 'uws-20.56'

// uWebSockets' LIBUS_LISTEN_DEFAULT and LIBUS_LISTEN_EXCLUSIVE_PORT: its types declare an enum that its binary does not export.
const SHARED_PORT = 0
const EXCLUSIVE_PORT = 1

/**
 * Takes a port. Unless it is `shared` on purpose, for this process alone: uWebSockets would share it with a second one
 * that was started by mistake.
 */
export function listen(
  app: UWS.TemplatedApp,
  host: string,
  port: number,
  shared: boolean,
): Promise<UWS.us_listen_socket> {
  return new Promise((resolve, reject) => {
    // The types know no options beside a host; the binaries do (20.30 and 20.56).
    const listenWithOptions = app.listen.bind(app) as unknown as ListenWithOptions
    listenWithOptions(host, port, shared ? SHARED_PORT : EXCLUSIVE_PORT, socket => {
      if (socket) resolve(socket)
      else
        reject(
          Object.assign(new Error(`listen EADDRINUSE: ${host}:${port} cannot be listened on`), { code: 'EADDRINUSE' }),
        )
    })
  })
}

type ListenWithOptions = (
  host: string,
  port: number,
  options: number,
  done: (socket: UWS.us_listen_socket | false) => void,
) => void

/** Returns a port that nobody listens on. */
export async function chosenPort(host: string): Promise<number> {
  const [port] = await freePorts([{ host, port: 0 }])
  return port!
}

/**
 * Returns the numbers of ports on which nobody listens now: the given ones, or, for 0, what the system chooses. Rejects
 * when one is taken, be it by a process that would share it.
 */
export async function freePorts(addresses: readonly { host: string; port: number }[]): Promise<number[]> {
  const servers: Server[] = []
  try {
    for (const { host, port } of addresses) {
      const server = createServer(socket => socket.destroy())
      servers.push(server)
      await once(server.listen({ host, port, exclusive: true }), 'listening')
    }
    return servers.map(server => (server.address() as AddressInfo).port)
  } finally {
    for (const server of servers) server.close()
  }
}
