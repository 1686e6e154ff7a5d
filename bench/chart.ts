/**
 * What each contestant did, as parts of the largest of each row, as SVG made by hand. The
 * colours can be read on light and dark pages alike, since a picture does not know on which it stands.
 */
import type { Report } from './report.ts'

interface Shown {
  readonly report: string
  readonly line: string
  readonly title: string
  /** Whether the shortest bar is the best: of delays and of memory. */
  readonly less?: true
}

const ROWS: readonly Shown[] = [
  { report: 'fanout', line: 'deliveries', title: 'Deliveries a second, one thread of 1,000' },
  { report: 'redis', line: 'deliveries', title: 'The same, node to node through Redis' },
  { report: 'small', line: 'events', title: 'Publishes a second, 5,000 threads of 2' },
  { report: 'users', line: 'events', title: 'Events a second to single users' },
  { report: 'typing', line: 'sends', title: 'Typing signals a second, threads of 10' },
  { report: 'storm', line: 'connectionsPerCore', title: 'Connections a second of server time' },
  { report: 'latency', line: 'p50', title: 'Delay at 500 publishes/s, median', less: true },
  { report: 'latency', line: 'p99', title: 'Delay at 500 publishes/s, p99', less: true },
  { report: 'memory', line: 'perConnection', title: 'Memory of a connection, 1 thread', less: true },
  { report: 'memory20', line: 'perConnection', title: 'Memory of a connection, 20 threads', less: true },
]
const COLOURS: Readonly<Record<string, string>> = {
  ceiling: '#8b949e',
  Throughline: '#2f81f7',
  soketi: '#d29922',
  'Socket.IO': '#db6d28',
}
const WIDTH = 760
const BARS = 300
const BAR_WIDTH = 330
const BAR = 13
const GAP = 20
const TOP = 64

/** Returns the chart as SVG. */
export function chartOf(reports: readonly Report[], caption: string): string {
  const parts: string[] = []
  let y = TOP
  for (const { report: name, line: key, title, less } of ROWS) {
    const report = reports.find(report => report.name === name)
    const line = report?.lines.find(line => line.key === key)
    if (report === undefined || line === undefined) continue
    const medians = line.values.map(({ median }) => median)
    const most = Math.max(...medians)
    parts.push(text(BARS - 14, y + BAR, title, 'title', 'end'))
    if (less === true) parts.push(text(BARS - 14, y + 2 * BAR, 'less is better', 'note', 'end'))
    for (const [who, contestant] of report.contestants.entries()) {
      const width = Math.max(1, ((medians[who] ?? 0) / most) * BAR_WIDTH)
      const fill = COLOURS[contestant] ?? '#8b949e'
      parts.push(
        `<rect x="${BARS}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 3}" rx="2" fill="${fill}"/>`,
      )
      parts.push(text(BARS + width + 6, y + BAR - 2, line.shown[who] ?? '', 'value'))
      y += BAR
    }
    y += GAP
  }
  const legend = Object.entries(COLOURS).map(
    ([name, fill], i) =>
      `<rect x="${BARS + i * 105}" y="34" width="10" height="10" rx="2" fill="${fill}"/>${text(BARS + 16 + i * 105, 43, name, 'note')}`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="Benchmark results">
<style>text{font:12px system-ui,sans-serif;fill:#7d8590}.title{font-weight:600}.note,.value{font-size:11px}</style>
${text(16, 22, caption, 'note')}
${[...legend, ...parts].join('\n')}
</svg>
`
}

function text(x: number, y: number, content: string, kind: string, anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(0)}" y="${y}" class="${kind}" text-anchor="${anchor}">${escaped}</text>`
}
