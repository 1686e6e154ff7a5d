import type { Config } from '../../config/schema.ts'
import type { Clock } from '../../lib/clock.ts'
import type { RedisServers } from '../../redis/facts.ts'
import { FINDINGS, type FindingName } from './findings.ts'
import type { RunningNode } from './running-node.ts'
import type { SiteEntries } from './sites.ts'

/** One thing that was looked at, in one line. */
export interface Result {
  readonly level: 'ok' | 'warn' | 'fail' | 'skipped'
  readonly says: string
  /** What is wrong, by its name in the table of findings, which has the remedy. */
  readonly finding?: FindingName
}

/** One row of the doctor's table. Checks know nothing of each other: none hides another's findings. */
export interface Check {
  readonly name: string
  /** How long it may take, 5 s if left out. */
  readonly withinMs?: number
  readonly run: (patient: Patient) => Promise<readonly Result[]>
}

/** What is looked at, and how. What several checks need is fetched once, by the first that asks. */
export interface Patient {
  readonly config: Config
  readonly clock: Clock
  readonly options: Options
  /** The node that answers on the configured admin address. */
  readonly node: () => Promise<RunningNode | undefined>
  /** What the site file has. Rejects with a TrustConfigError when no node would start with what is configured of sites. */
  readonly sites: () => Promise<SiteEntries>
  /** Undefined with the memory bus. */
  readonly redis: () => Promise<RedisServers | undefined>
}

export interface Options {
  /** The WebSocket URL and API of a node to try, instead of the configured addresses. */
  readonly url?: string | undefined
  readonly api?: string | undefined
  /** The site to try it with, and how its server signs. */
  readonly site?: string | undefined
  readonly key?: string | undefined
  readonly licence?: string | undefined
}

export function ok(says: string): Result {
  return { level: 'ok', says }
}

export function found(finding: FindingName, says: string): Result {
  return { level: FINDINGS[finding].level, finding, says }
}

/** For what cannot be looked at because something else is absent. */
export function skipped(why: string): Result {
  return { level: 'skipped', says: `skipped: ${why}` }
}
