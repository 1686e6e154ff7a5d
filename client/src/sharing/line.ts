/**
 * A line joins one tab to the host of the hub: a port of the SharedWorker, or a BroadcastChannel that only the tab and
 * the leader know. A tab that attaches again does so over a new line, so that nothing of an old host reaches it.
 */
import type { HubOptions } from '../hub.ts'
import type { ToHub, ToTab } from '../port.ts'

/**
 * Stands in every name that tabs share, and in `hello`: pages and workers of other versions keep to themselves.
 * It is the package's version (a test compares), for any release may change what a hub and its tabs say.
 */
export const VERSION = '0.1.0'

/** A MessagePort or a BroadcastChannel. */
export interface Line {
  onmessage: ((event: MessageEvent) => void) | null
  postMessage(letter: unknown): void
  close(): void
}

export interface Hello {
  readonly version: string
  /** Names the line, and the Web Lock that the tab holds for as long as it is there. */
  readonly id: string
  /** Not held where the browser has no Web Locks: then the host listens for pings. */
  readonly locked: boolean
  readonly hub: HubOptions
}

export type FromTab = ['hello', Hello] | ['say', ToHub] | ['ping'] | ['bye']
/** `open` names the lock that the host holds for as long as it is there, if it does; `refused` the host's version. */
export type FromHost = ['open', string | undefined] | ['say', ToTab] | ['pong'] | ['refused', string]

/** Between two pings of a tab. Chrome lets a hidden page's timers run once a minute, so it may be as long as that. */
export const PING_MS = 5_000

export function randomId(): string {
  return Math.random().toString(36).slice(2) // crypto.randomUUID is not there in insecure contexts
}
