import type { Scrape } from './scrape.ts'

/** How a node did between two scrapes. What cannot be told, since it has restarted or did nothing, is undefined. */
export interface Row {
  readonly version: string
  readonly busUp: boolean
  readonly connections: number
  readonly closed: number | undefined
  readonly published: number | undefined
  readonly delivered: number | undefined
  /** How many deliveries took how long: by the upper bound in seconds, each bucket for itself. */
  readonly latencies: ReadonlyMap<number, number>
  /** Seconds. */
  readonly lag: number
  readonly memory: number
}

/** Returns how a node did since the scrape before. */
export function rowOf(before: Scrape, now: Scrape): Row {
  const seconds = (now.at - before.at) / 1000
  const rate = (name: string): number | undefined => {
    const difference = sum(now, name) - sum(before, name)
    return difference < 0 ? undefined : difference / seconds
  }
  return {
    version: now.samples.find(({ name }) => name === 'throughline_build_info')?.labels['version'] ?? '',
    busUp: sum(now, 'throughline_bus_up') === 1,
    connections: sum(now, 'throughline_connections'),
    closed: rate('throughline_connections_closed_total'),
    published: rate('throughline_events_published_total'),
    delivered: rate('throughline_deliveries_total'),
    latencies: since(buckets(before), buckets(now)),
    lag: sum(now, 'throughline_event_loop_lag_seconds'),
    memory: sum(now, 'process_resident_memory_bytes'),
  }
}

/** Returns what all nodes do together. */
export function total(rows: readonly Row[]): Row {
  const add = (of: (row: Row) => number | undefined): number => rows.reduce((all, row) => all + (of(row) ?? 0), 0)
  const latencies = new Map<number, number>()
  for (const row of rows) for (const [le, count] of row.latencies) latencies.set(le, (latencies.get(le) ?? 0) + count)
  return {
    version: new Set(rows.map(({ version }) => version)).size > 1 ? 'differ' : '',
    busUp: rows.every(({ busUp }) => busUp),
    connections: add(({ connections }) => connections),
    closed: add(({ closed }) => closed),
    published: add(({ published }) => published),
    delivered: add(({ delivered }) => delivered),
    latencies,
    lag: Math.max(0, ...rows.map(({ lag }) => lag)),
    memory: add(({ memory }) => memory),
  }
}

/** Returns within how many seconds a share of all came, as Prometheus' histogram_quantile does; undefined if none came. */
export function quantile(latencies: ReadonlyMap<number, number>, share: number): number | undefined {
  const bounds = [...latencies.keys()].toSorted((a, b) => a - b)
  let rank = share * [...latencies.values()].reduce((all, count) => all + count, 0)
  if (rank === 0) return undefined
  let lower = 0
  for (const upper of bounds) {
    const count = latencies.get(upper) ?? 0
    // Of what lies above the last bound nothing more is known.
    if (rank <= count) return upper === Infinity ? lower : lower + ((upper - lower) * rank) / count
    rank -= count
    lower = upper
  }
  return lower
}

function sum({ samples }: Scrape, metric: string): number {
  return samples.reduce((all, { name, value }) => (name === metric ? all + value : all), 0)
}

/** A bucket of Prometheus holds what all before it hold, too. */
function buckets({ samples }: Scrape): Map<number, number> {
  const found = samples
    .filter(({ name }) => name === 'throughline_delivery_latency_seconds_bucket')
    .map(({ labels: { le = '' }, value }) => [le === '+Inf' ? Infinity : Number(le), value] as const)
    .toSorted(([a], [b]) => a - b)
  return new Map(found.map(([le, count], i) => [le, count - (found[i - 1]?.[1] ?? 0)]))
}

/** After a restart all that is there is new. */
function since(before: ReadonlyMap<number, number>, now: ReadonlyMap<number, number>): Map<number, number> {
  const restarted = [...now].some(([le, count]) => count < (before.get(le) ?? 0))
  return new Map([...now].map(([le, count]) => [le, restarted ? count : count - (before.get(le) ?? 0)]))
}
