import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the ephemeral range of Linux (32768 and up): a port from that range can be taken by any outgoing connection
// while its server is being restarted, even by the client that is trying to reach it.
const LOWEST = 10_000
const HIGHEST = 32_767

/** Returns a port on 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    if (await isFree(port)) return port
  }
  throw new Error('no free port on 127.0.0.1 in 100 tries')
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
