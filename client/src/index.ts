import { Client, type ClientOptions } from './client.ts'
import { directPort } from './direct.ts'
import { Hub, type HubOptions } from './hub.ts'

export { RelayError } from './errors.ts'
export type { RelayEvent } from './events.ts'
export type { Member, Sender } from './frames.ts'
export type { FetchedEvent, Place } from './port.ts'
export type { Fetch, RelayEvents, State, SubscribeOptions, Token } from './client.ts'
export type { Presence, Thread, ThreadEvents, To } from './thread.ts'
export type { Watch } from './watch.ts'
export type Relay<Types extends object = Record<string, unknown>> = Client<Types>

export interface ConnectOptions extends ClientOptions {
  /** `wss://relay.example.com/v1/ws` */
  readonly url: string
  /** The site's licence, if the relay has the site in no site file. `token` may bring it instead. */
  readonly licence?: string
  /** The user whom the page is for, if pages of several users may be open in one browser: they share no connection. */
  readonly user?: string
  /** Seconds between two polls, on average; 5 if left out. */
  readonly pollSeconds?: number
  /** How the tabs of a browser share one connection. */
  readonly share?: 'auto' | 'worker' | 'leader' | 'none'
  /** Where this origin serves `throughline.js`, for the SharedWorker. */
  readonly workerUrl?: string
  /** The class to use where there is no global one, as in Node 20: that of `ws` or `undici`. */
  readonly WebSocket?: unknown
}

const POLL_SECONDS = 5

/** Connects to a relay, and stays connected until `close`. `Types` tells the `data` of each event type. */
export function connect<Types extends object = Record<string, unknown>>(options: ConnectOptions): Relay<Types> {
  const { url, licence, user, poll, fetchSince, pollSeconds = POLL_SECONDS, WebSocket } = options
  const hub: HubOptions = {
    url,
    ...(licence !== undefined && { licence }),
    ...(user !== undefined && { user }),
    pollSeconds: poll === false || !(poll ?? fetchSince) ? 0 : pollSeconds,
    ...(WebSocket !== undefined && { WebSocket: WebSocket as typeof globalThis.WebSocket }),
  }
  return new Client<Types>(options, directPort(new Hub(hub)))
}
