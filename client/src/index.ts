import { createClient } from './client.ts'
import type { HubOptions } from './hub.ts'
import type { ClientOptions, Relay } from './relay.ts'
import { withIdentity } from './sharing/identity.ts'
import { openPort } from './sharing/share.ts'

export { RelayError } from './errors.ts'
export type { RelayEvent } from './events.ts'
export type { Member, Sender } from './frames.ts'
export type { FetchedEvent, Place } from './port.ts'
export type * from './relay.ts'

export interface ConnectOptions extends ClientOptions {
  /** `wss://relay.example.com/v1/ws` */
  readonly url: string
  /** The site's licence, if the relay has the site in no site file. `token` may bring it instead. */
  readonly licence?: string
  /** Seconds between two polls, on average; 5 if left out. */
  readonly pollSeconds?: number
  /** How the tabs of a browser that are for the same user share one connection. */
  readonly share?: 'auto' | 'worker' | 'leader' | 'none'
  /** Where this origin serves `throughline.js`, for the SharedWorker. */
  readonly workerUrl?: string
  /** The class to use where there is no global one, as in Node 20: that of `ws` or `undici`. */
  readonly WebSocket?: unknown
}

const POLL_SECONDS = 5

/** Connects to a relay, and stays connected until `close`. `Types` tells the `data` of each event type. */
export function connect<Types extends object = Record<string, unknown>>(options: ConnectOptions): Relay<Types> {
  const { url, licence, poll, fetchSince, pollSeconds = POLL_SECONDS, WebSocket } = options
  const hub: HubOptions = {
    url,
    licence,
    pollSeconds: poll === false || !(poll ?? fetchSince) ? 0 : pollSeconds,
    WebSocket: WebSocket as typeof globalThis.WebSocket,
  }
  const { share = 'auto', workerUrl } = options
  const { identity, token } = withIdentity(options.token)
  return createClient({ ...options, token }, openPort({ share, workerUrl, hub, identity, canFetch: !!fetchSince }))
}
