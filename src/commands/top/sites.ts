import type { Scrape } from './scrape.ts'

/** How a site did on all nodes together. All but the first and the last are per second. */
export interface SiteRow {
  readonly connections: number
  readonly published: number
  readonly delivered: number
  /** Refused as too much. */
  readonly limited: number
  readonly refused: number
  /** Seconds that the oldest fact has waited for its origin. */
  readonly age: number
}

export type Sites = ReadonlyMap<string, SiteRow>

/** What a metric's samples of a site add to. */
const PARTS: ReadonlyMap<string, keyof SiteRow> = new Map(
  Object.entries({
    throughline_site_connections: 'connections',
    throughline_site_events_published_total: 'published',
    throughline_site_deliveries_total: 'delivered',
    throughline_site_rate_limited_total: 'limited',
    throughline_site_auth_failures_total: 'refused',
    throughline_site_refusals_total: 'refused',
    throughline_site_callback_queue_age_seconds: 'age',
  } as const),
)
const NOTHING: SiteRow = { connections: 0, published: 0, delivered: 0, limited: 0, refused: 0, age: 0 }

/** Returns how sites did on one node since the scrape before. */
export function sitesOf(before: Scrape, now: Scrape): Sites {
  if (before.sites === undefined) return new Map()
  const seconds = (now.at - before.at) / 1000
  const old = sums(before)
  const rate = (now: number, before: number): number => (now < before ? now : now - before) / seconds
  return new Map(
    [...sums(now)].map(([site, now]) => {
      // One that was not there had been forgotten, and has begun at 0.
      const was = old.get(site) ?? NOTHING
      const row = {
        connections: now.connections,
        published: rate(now.published, was.published),
        delivered: rate(now.delivered, was.delivered),
        limited: rate(now.limited, was.limited),
        refused: rate(now.refused, was.refused),
        age: now.age,
      }
      return [site, row] as const
    }),
  )
}

/** Returns what sites do on all nodes together. */
export function addSites(nodes: readonly Sites[]): Sites {
  const together = new Map<string, SiteRow>()
  for (const [site, row] of nodes.flatMap(sites => [...sites])) {
    const sum = together.get(site) ?? NOTHING
    together.set(site, {
      connections: sum.connections + row.connections,
      published: sum.published + row.published,
      delivered: sum.delivered + row.delivered,
      limited: sum.limited + row.limited,
      refused: sum.refused + row.refused,
      age: Math.max(sum.age, row.age),
    })
  }
  return together
}

/** Returns the sites to look at, at most so many, the busiest first: up to half of them are those that are refused the most. */
export function busiest(sites: Sites, most: number): readonly (readonly [string, SiteRow])[] {
  const byWork = [...sites].toSorted(([, a], [, b]) => b.delivered - a.delivered || b.connections - a.connections)
  const limited = byWork.filter(([, { limited }]) => limited > 0).toSorted(([, a], [, b]) => b.limited - a.limited)
  const chosen = new Set([...new Set([...limited.slice(0, most / 2), ...byWork])].slice(0, most))
  return byWork.filter(one => chosen.has(one))
}

function sums({ sites }: Scrape): Map<string, SiteRow> {
  const found = new Map<string, Record<keyof SiteRow, number>>()
  for (const { name, labels, value } of sites ?? []) {
    const part = PARTS.get(name)
    const { site } = labels
    if (part === undefined || site === undefined) continue
    let row = found.get(site)
    if (row === undefined) found.set(site, (row = { ...NOTHING }))
    row[part] += value
  }
  return found
}
