import { endOfTick, every } from '../lib/clock.ts'
import type { SiteId } from '../protocol/ids.ts'
import { siteOf, type Topic } from '../protocol/topic.ts'
import { type LimitKind, SITE_LIMIT_KINDS } from './metrics.ts'
import { AGE, CONNECTIONS, column, COLUMNS, DEPTH, FAMILIES, type SiteRows } from './site-families.ts'

/** How a site's queue of callbacks stands. */
export interface SiteQueue {
  readonly site: SiteId
  readonly depth: number
  readonly ageSeconds: number
}

/** What happened at a site, once, or so many times. */
export type SiteHappening = 'slow' | 'authFailure' | 'refusal' | 'ok' | 'retry' | 'gone' | 'dropped'

/** Milliseconds, and how often a site may be found unchanged until it is forgotten: ten minutes. */
const SWEEP_MS = 60_000
const SWEEPS = 10

const PUBLISHED = {
  api: column('events_published_total', 'api'),
  client: column('events_published_total', 'client'),
}
const DELIVERIES = column('deliveries_total')
const RATE_LIMITED = new Map<LimitKind, number>(
  SITE_LIMIT_KINDS.map(kind => [kind, column('rate_limited_total', kind)]),
)
const HAPPENINGS: Readonly<Record<SiteHappening, number>> = {
  slow: column('slow_consumers_total'),
  authFailure: column('auth_failures_total'),
  refusal: column('refusals_total'),
  ok: column('callbacks_total', 'ok'),
  retry: column('callbacks_total', 'retry'),
  gone: column('callbacks_total', 'gone'),
  dropped: column('callbacks_total', 'dropped'),
}

interface Row {
  /** What the site's topics begin with, and another row where that has the same hash. */
  readonly prefix: string
  next: Row | undefined
  readonly values: number[]
  /** The sum of `values` when it was looked at last, and how often it was the same. */
  seen: number
  unchanged: number
}

/**
 * What this process counts of each site (docs/metrics.md). Only to be told of sites that exist: what a stranger wrote
 * into a token must not make a row. A site without connections of which nothing was counted for ten minutes is forgotten.
 */
export class SiteMetrics {
  readonly #rows = new Map<SiteId, Row>()
  /** The same rows by the hash of what topics begin with: to cut out a name for a Map is garbage for each event. */
  #byHash = new Map<number, Row>()

  constructor() {
    every(SWEEP_MS, () => this.sweep())
  }

  get size(): number {
    return this.#rows.size
  }

  connected(site: SiteId): void {
    this.#row(site).values[CONNECTIONS]!++
  }

  disconnected(site: SiteId): void {
    this.#row(site).values[CONNECTIONS]!--
  }

  published(source: 'api' | 'client', site: SiteId): void {
    this.#row(site).values[PUBLISHED[source]]!++
  }

  delivered(topic: Topic, sockets: number): void {
    let row = this.#byHash.get(hashOf(topic))
    while (row !== undefined && !topic.startsWith(row.prefix)) row = row.next
    row ??= this.#row(siteOf(topic))
    row.values[DELIVERIES]! += sockets
  }

  /** Of kinds that are about addresses nothing is counted. */
  rateLimited(kind: LimitKind, site: SiteId): void {
    const at = RATE_LIMITED.get(kind)
    if (at !== undefined) this.#row(site).values[at]!++
  }

  happened(what: SiteHappening, site: SiteId, times = 1): void {
    this.#row(site).values[HAPPENINGS[what]]! += times
  }

  /** Returns all that was counted, and how the queues of callbacks stand now. */
  rows(queues: Iterable<SiteQueue>): SiteRows {
    for (const { values } of this.#rows.values()) values[DEPTH] = values[AGE] = 0
    for (const { site, depth, ageSeconds } of queues) {
      const { values } = this.#row(site)
      values[DEPTH] = depth
      values[AGE] = ageSeconds
    }
    return new Map([...this.#rows].map(([site, { values }]) => [site, values]))
  }

  /** Forgets sites that have been idle for long. Called every minute. */
  sweep(): void {
    const before = this.#rows.size
    for (const [site, row] of this.#rows) {
      const sum = row.values.reduce((all, value) => all + value)
      row.unchanged = sum === row.seen && row.values[CONNECTIONS] === 0 ? row.unchanged + 1 : 0
      row.seen = sum
      if (row.unchanged >= SWEEPS) this.#rows.delete(site)
    }
    if (this.#rows.size === before) return
    this.#byHash = new Map()
    for (const row of this.#rows.values()) this.#index(row)
  }

  #row(site: SiteId): Row {
    let row = this.#rows.get(site)
    if (row === undefined) {
      const values = Array.from({ length: COLUMNS }, () => 0)
      row = { prefix: `${site}/`, next: undefined, values, seen: 0, unchanged: 0 }
      this.#rows.set(site, row)
      this.#index(row)
    }
    return row
  }

  #index(row: Row): void {
    const hash = hashOf(row.prefix)
    row.next = this.#byHash.get(hash)
    this.#byHash.set(hash, row)
  }
}

const SLASH = 0x2f

/** Returns the hash of what stands before the first slash. */
function hashOf(topic: string): number {
  let hash = 0
  for (let i = 0; i < topic.length; i++) {
    const code = topic.charCodeAt(i)
    if (code === SLASH) break
    hash = (Math.imul(hash, 31) + code) | 0
  }
  return hash
}

/** Returns the rows of several processes together: sums, but of ages the greatest. */
export function addUpSites(all: readonly SiteRows[]): SiteRows {
  const together = new Map<SiteId, number[]>()
  for (const [site, values] of all.flatMap(rows => [...rows])) {
    const sums = together.get(site)
    if (sums === undefined) together.set(site, [...values])
    else for (const [i, value] of values.entries()) sums[i] = i === AGE ? Math.max(sums[i]!, value) : sums[i]! + value
  }
  return together
}

/** Returns what a process had counted of sites and counts no more, since it has forgotten them, or begun anew. */
export function lostSites(before: SiteRows, now: SiteRows): SiteRows {
  const counters = FAMILIES.filter(({ type }) => type === 'counter').flatMap(({ columns }) => columns)
  const lost = new Map<SiteId, number[]>()
  for (const [site, values] of before) {
    const row = now.get(site)
    if (row !== undefined && counters.every(({ at }) => row[at]! >= values[at]!)) continue
    const kept = values.map(() => 0)
    for (const { at } of counters) kept[at] = values[at]!
    lost.set(site, kept)
  }
  return lost
}

/** Returns rows in Prometheus' text format, and lets others have their turn in between. */
export async function siteExposition(rows: SiteRows): Promise<string> {
  const sites = [...rows].map(([site, values]) => ({ label: `site="${escaped(site)}"`, values }))
  let text = ''
  for (const { name, help, type, part, columns } of FAMILIES) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const { label, values } of sites) {
      if (part.length === 0 || part.some(at => values[at] !== 0)) {
        for (const { at, labels } of columns) text += `${name}{${label}${labels}} ${values[at]}\n`
      }
    }
    await endOfTick()
  }
  return text
}

/** As the text format wants it of label values. Site ids have none of these. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
