import type { Child } from './processes.ts'

/** A server that can be measured. Its processes run on one core, so the same work may be asked of each of them. */
export interface Contestant {
  readonly name: string
  /** Starts one node, or with a Redis address two that are joined by it: published on the first, received from the second. */
  start(redis?: string): Promise<Running>
}

export interface Running {
  readonly socketPort: number
  readonly apiPort: number
  readonly nodes: readonly Child[]
  /** Returns what a user sends to be connected and in the threads; each frame is sent when the one before was answered. */
  joining(user: number, threads: readonly string[]): string[]
  /** What a good answer to these frames looks like. */
  readonly answer: RegExp
  /** Returns the HTTP request that publishes `data` in a thread. */
  publishing(thread: string, data: string): Buffer
}

export async function end(running: Running): Promise<void> {
  await Promise.all(running.nodes.map(node => node.end()))
}
