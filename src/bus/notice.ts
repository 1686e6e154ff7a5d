import type { ThreadId } from '../protocol/ids.ts'

/** What an origin has decided about a user: every node with a connection of the user is told (DESIGN §6). */
export type Notice = Disconnect | Members

export interface Disconnect {
  readonly kind: 'disconnect'
  /** The close reason. */
  readonly reason: string
  /** Whether the tokens that the user has until now count no longer (DESIGN §4). */
  readonly revoke: boolean
}

export interface Members {
  readonly kind: 'members'
  readonly thread: ThreadId
  /** What the user may do in the thread from now on, as a mask; 0 takes it out of the thread. */
  readonly permissions: number
}

/**
 * What was taken back from a user, as seconds since the epoch: tokens that were issued at or before count no longer, in
 * all or for one thread (CONTRACT 16, 19).
 */
export interface Revocations {
  /** 0 if the tokens were never revoked. */
  readonly tokens: number
  readonly threads: ReadonlyMap<ThreadId, number>
}

/** Seconds that a revocation is remembered: as long as a token lives (24 h), with the leeway of clocks. */
export const REVOCATION_TTL = 86_520

/** Stands for all threads among the names of a user's revocations. No id may have it. */
export const ALL_THREADS = '*'

/** Returns what a notice takes back or gives back: a thread, or ALL_THREADS. Undefined when it is only told. */
export function revocationIn(notice: Notice): { readonly name: string; readonly lifted: boolean } | undefined {
  if (notice.kind === 'members') return { name: notice.thread, lifted: notice.permissions !== 0 }
  return notice.revoke ? { name: ALL_THREADS, lifted: false } : undefined
}

/** Returns revocations with those of a notice; undefined when nothing is left. `at` is in seconds. */
export function afterNotice(before: Revocations | undefined, notice: Notice, at: number): Revocations | undefined {
  const change = revocationIn(notice)
  if (change === undefined) return before
  if (change.name === ALL_THREADS) return { tokens: at, threads: before?.threads ?? new Map() }
  const threads = new Map(before?.threads)
  if (change.lifted) threads.delete(change.name as ThreadId)
  else threads.set(change.name as ThreadId, at)
  const tokens = before?.tokens ?? 0
  return tokens === 0 && threads.size === 0 ? undefined : { tokens, threads }
}

/** Reads what Redis remembers of a user: names and seconds, by turns. Undefined when it is nothing. */
export function readRevocations(fields: readonly string[]): Revocations | undefined {
  if (fields.length === 0) return undefined
  let tokens = 0
  const threads = new Map<ThreadId, number>()
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === ALL_THREADS) tokens = Number(fields[i + 1])
    else threads.set(fields[i] as ThreadId, Number(fields[i + 1]))
  }
  return { tokens, threads }
}
