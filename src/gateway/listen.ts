import type * as UWS from 'uws-20.56'

/** uWebSockets' LIBUS_LISTEN_EXCLUSIVE_PORT: its types declare an enum that its binary does not export. */
const EXCLUSIVE_PORT = 1

/** Takes a port for this process alone: uWebSockets would share it with a second one that was started by mistake. */
export function listen(app: UWS.TemplatedApp, host: string, port: number): Promise<UWS.us_listen_socket> {
  return new Promise((resolve, reject) => {
    // The types know no options beside a host; the binaries do (20.30 and 20.56).
    const listenWithOptions = app.listen.bind(app) as unknown as ListenWithOptions
    listenWithOptions(host, port, EXCLUSIVE_PORT, socket => {
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
