import type { SiteId } from '../protocol/ids.ts'
import { SITE_LIMIT_KINDS } from './metrics.ts'

/** What a process has counted of each site: one number for each column. */
export type SiteRows = ReadonlyMap<SiteId, readonly number[]>

/** A metric, with the columns that are its series of a site. */
export interface SiteFamily {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly columns: readonly { readonly at: number; readonly label: string; readonly labels: string }[]
  /** Unless it is empty, a site has series of this metric once any of these columns is not 0: a quiet site costs little. */
  readonly part: readonly number[]
}

interface Family {
  readonly name: string
  readonly help: string
  readonly gauge?: true
  /** A label, and its values. */
  readonly by?: readonly [string, readonly string[]]
}

const PARTS: readonly (readonly Family[])[] = [
  [
    { name: 'connections', help: 'Authenticated WebSockets', gauge: true },
    {
      name: 'events_published_total',
      help: 'Events accepted and handed to the bus',
      by: ['source', ['api', 'client']],
    },
    { name: 'deliveries_total', help: 'Events handed to sockets, counted per socket' },
  ],
  [
    { name: 'rate_limited_total', help: 'Refused because it was too much, by kind', by: ['kind', SITE_LIMIT_KINDS] },
    { name: 'slow_consumers_total', help: 'Sockets closed because their clients read too slowly' },
    { name: 'auth_failures_total', help: 'Refused tokens and web origins' },
    { name: 'refusals_total', help: 'Everything else that was refused' },
  ],
  [
    {
      name: 'callbacks_total',
      help: 'Requests to the callback by outcome, and facts dropped',
      by: ['outcome', ['ok', 'retry', 'gone', 'dropped']],
    },
    { name: 'callback_queue_depth', help: 'Facts that wait', gauge: true },
    { name: 'callback_queue_age_seconds', help: 'How long the oldest of them has waited', gauge: true },
  ],
]

let columns = 0

export const FAMILIES: readonly SiteFamily[] = PARTS.flatMap(families => {
  const first = columns
  columns += families.flatMap(({ by }) => by?.[1] ?? ['']).length
  // What goes through is told of every site: a fall to nothing is to be seen.
  const part = first === 0 ? [] : Array.from({ length: columns - first }, (_, i) => first + i)
  let at = first
  return families.map(({ name, help, gauge, by: [by, values] = ['', ['']] }) => ({
    name: `throughline_site_${name}`,
    help,
    type: gauge === true ? 'gauge' : 'counter',
    columns: values.map(label => ({ at: at++, label, labels: by === '' ? '' : `,${by}="${label}"` })),
    part,
  }))
})

/** How many there are. */
export const COLUMNS = columns

/** Returns where a series of a metric stands in a row. */
export function column(metric: string, label = ''): number {
  const family = FAMILIES.find(({ name }) => name === `throughline_site_${metric}`)
  const found = family?.columns.find(column => column.label === label)
  if (found === undefined) throw new Error(`no column ${metric} ${label}`)
  return found.at
}

export const CONNECTIONS = column('connections')
export const DEPTH = column('callback_queue_depth')
export const AGE = column('callback_queue_age_seconds')
