import { quantile, type Row, total } from './rates.ts'
import type { Down } from './scrape.ts'
import { addSites, busiest, type SiteRow, type Sites } from './sites.ts'

/** A node by the name to show it under; `waiting` until there is a second scrape to compare with. */
export interface Shown {
  readonly name: string
  readonly row: Row | Down | 'waiting'
  /** Those that it told of. */
  readonly sites: Sites
}

interface Column<R> {
  readonly title: string
  readonly width: number
  readonly cell: (row: R) => string
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'version', width: 9, cell: ({ version }) => version },
  { title: 'bus', width: 5, cell: ({ busUp }) => (busUp ? 'up' : 'DOWN') },
  { title: 'sockets', width: 9, cell: ({ connections }) => count(connections) },
  { title: 'closed/s', width: 9, cell: ({ closed }) => count(closed) },
  { title: 'publ/s', width: 9, cell: ({ published }) => count(published) },
  { title: 'deliv/s', width: 10, cell: ({ delivered }) => count(delivered) },
  { title: 'p50', width: 9, cell: ({ latencies }) => time(quantile(latencies, 0.5)) },
  { title: 'p99', width: 9, cell: ({ latencies }) => time(quantile(latencies, 0.99)) },
  { title: 'lag', width: 9, cell: ({ lag }) => time(lag) },
  { title: 'memory', width: 9, cell: ({ memory }) => `${count(memory / 2 ** 20)} MiB` },
]

const SITE_COLUMNS: readonly Column<SiteRow>[] = [
  { title: 'sockets', width: 9, cell: ({ connections }) => count(connections) },
  { title: 'publ/s', width: 9, cell: ({ published }) => count(published) },
  { title: 'deliv/s', width: 10, cell: ({ delivered }) => count(delivered) },
  { title: 'limited/s', width: 10, cell: ({ limited }) => count(limited) },
  { title: 'refused/s', width: 10, cell: ({ refused }) => count(refused) },
  { title: 'waits', width: 9, cell: ({ age }) => (age === 0 ? UNKNOWN : time(age)) },
]
const SITES = 10

/** Returns the lines that show a cluster: one for each node, then what all do together, then the busiest sites. */
export function frame(nodes: readonly Shown[], time: string): string[] {
  const width = Math.max(5, ...nodes.map(({ name }) => name.length))
  const rows = nodes.flatMap(({ row }) => (isRow(row) ? [row] : []))
  const down = nodes.filter(({ row }) => typeof row === 'object' && 'down' in row).length
  const line = (name: string, row: Row): string => name.padEnd(width) + cells(COLUMNS, column => column.cell(row))
  return [
    `throughline: ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}${down === 0 ? '' : `, ${down} DOWN`}  ${time}`,
    '',
    'node'.padEnd(width) + cells(COLUMNS, ({ title }) => title),
    ...nodes.map(({ name, row }) => {
      if (isRow(row)) return line(name, row)
      return `${name.padEnd(width)}  ${row === 'waiting' ? '…' : `DOWN: ${row.down}`}`
    }),
    ...(rows.length > 0 && nodes.length > 1 ? [line('total', total(rows))] : []),
    ...siteLines(addSites(nodes.map(({ sites }) => sites))),
  ]
}

function siteLines(sites: Sites): string[] {
  if (sites.size === 0) return []
  const shown = busiest(sites, SITES)
  const width = Math.max(5, ...shown.map(([site]) => site.length))
  const more = sites.size - shown.length
  return [
    '',
    'site'.padEnd(width) + cells(SITE_COLUMNS, ({ title }) => title),
    ...shown.map(([site, row]) => site.padEnd(width) + cells(SITE_COLUMNS, column => column.cell(row))),
    ...(more === 0 ? [] : [`and ${more} more`]),
  ]
}

function isRow(row: Shown['row']): row is Row {
  return typeof row === 'object' && 'version' in row
}

function cells<R>(columns: readonly Column<R>[], text: (column: Column<R>) => string): string {
  return columns.map(column => ` ${text(column).padStart(column.width)}`).join('')
}

const UNKNOWN = '-'

function count(value: number | undefined): string {
  if (value === undefined) return UNKNOWN
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toLocaleString('en')
}

function time(seconds: number | undefined): string {
  if (seconds === undefined) return UNKNOWN
  return seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`
}
