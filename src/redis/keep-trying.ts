import { after } from '../lib/clock.ts'

interface Client {
  on(event: 'end', listener: () => void): unknown
  connect(): Promise<void>
}

const PAUSE = 1000

/**
 * Makes a client connect again whenever it has ended. ioredis ends one for good when finding the server fails at the wrong
 * moment, as while a Sentinel switches masters, and a node would stay without its bus. Returns what ends this.
 */
export function keepTrying(client: Client): () => void {
  let over = false
  client.on('end', () => {
    after(PAUSE, () => {
      // What goes wrong again is told by 'end' again.
      if (!over) client.connect().catch(() => {})
    })
  })
  return () => {
    over = true
  }
}
