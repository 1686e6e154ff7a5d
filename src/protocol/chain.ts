import { isCount } from './ids.ts'
import type { Json } from './raw-json.ts'

/** What a client is told of a chain when it joins (DESIGN §5, §7). */
export interface ChainState {
  readonly head: number
  readonly state: 'current' | 'behind' | 'new'
  /** Milliseconds; with `behind`: ask the origin at a random moment inside it. Set by who knows how many ask (hub/pace.ts). */
  within?: number
}

/** Returns a chain's entry in an answer. No name of a chain needs escaping (CONTRACT 15). */
export function chainEntry(name: string, { head, state, within }: ChainState): string {
  const more = within === undefined ? '' : `,"within":${within}`
  return `"${name}":{"head":${head},"state":"${state}"${more}}`
}

/** Seconds after its last event that a chain's head is remembered. */
export const HEAD_TTL = 604_800

/**
 * Compares the stamp that a client saw last with the chain's head. Within an era stamps are compared for equality only.
 * One from before the era says nothing, since Redis may have come back older than it was; nor does one that is older than
 * any head: its chain may have had events, and forgotten them, since. `now` is in milliseconds.
 */
export function chainState(head: number, eraStart: number, since: Json | undefined, now: number): ChainState {
  if (since === undefined) return { head, state: 'new' }
  const says = isCount(since) && since >= eraStart && since >= (now - HEAD_TTL * 1000) * 1000
  if (says && since === head) return { head, state: 'current' }
  return { head, state: 'behind' }
}

/** The same while the bus is down: nobody can tell what was missed (CONTRACT 27). `known` is the last stamp this node forwarded. */
export function unknownState(known: number | undefined, since: Json | undefined): ChainState {
  return { head: known ?? (isCount(since) ? since : 0), state: 'behind' }
}
