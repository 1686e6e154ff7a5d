import type { Child } from './processes.ts'

/** A server that can be measured. Its processes run on one core, so the same work may be asked of each of them. */
export interface Contestant {
  readonly name: string
  /** Scenarios that it has no part in, since it cannot do what they ask. */
  readonly lacks?: readonly string[]
  /** Publishes per second with which to look for its limit through Redis: not so far above it that a backlog takes a minute. */
  readonly tryAt: number
  /** Starts one node, or with a Redis address two that are joined by it: published on the first, received from the second. */
  start(redis?: string, algorithm?: Algorithm): Promise<Running>
}

/** How users' tokens are signed, where there are any. */
export type Algorithm = 'HS256' | 'EdDSA'

/** What a client sends next, given what the server has just said; nothing when it is empty. Then it waits for an answer. */
export type Turn = string | ((said: string) => string)

export interface Running {
  readonly socketPort: number
  readonly apiPort: number
  readonly nodes: readonly Child[]
  /** The path of the WebSocket. */
  readonly path: string
  /** Returns what a user does to be connected and in the threads. */
  readonly joining: (user: number, threads: readonly string[]) => Turn[]
  /** The same where all are told who else is there. */
  readonly joiningSeen?: (user: number, threads: readonly string[]) => Turn[]
  /** The same where a client may send, and where a user's own chain is a thread: for servers that tell these apart. */
  readonly joiningToSend?: (user: number, threads: readonly string[]) => Turn[]
  readonly ownThread?: (user: number) => string[]
  /** Whether a client may take all turns of joining at once: its frames are worked on in their order. */
  readonly pipelines?: boolean
  /** What a good answer to each turn looks like. */
  readonly answer: RegExp
  /** A heartbeat that the server sends as a text, and what it wants to hear. */
  readonly ping?: { readonly is: string; readonly pong?: string }
  /** Whether its HTTP connections may be used again: a client must obey `Connection: close`. */
  readonly keepsAlive: boolean
  /** Returns the HTTP request that publishes `data` in a thread. */
  readonly publishing: (thread: string, data: string) => Buffer
  /** Returns the frame that receivers then get, as long as it will be. */
  readonly frame: (thread: string, data: string) => string
  /** The same for users by themselves, wherever they are: `data` goes to each of them. */
  readonly publishingTo?: (users: readonly number[], data: string) => Buffer
  readonly frameTo?: (user: number, data: string) => string
  /** Returns the request that publishes `data` in each of the threads, as events of their own. */
  readonly publishingAll?: (threads: readonly string[], data: string) => Buffer
  /** What a client sends to the others of its thread. */
  readonly sending?: (thread: string) => string
}

export async function end(running: Running): Promise<void> {
  await Promise.all(running.nodes.map(node => node.end()))
}
