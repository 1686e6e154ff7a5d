/**
 * `node dist/bench/publish.js results.json`: puts the results of `npm run bench -- --all --peers --json results.json` into the
 * chart, into README.md and into docs/operate/capacity.md, between comments that name what stands there.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { costsOf, type Results } from './capacity/model.ts'
import { costTable, lossTable, planTable, queueTable, shardTable } from './capacity/tables.ts'
import { chartOf } from './chart.ts'
import { type Report, verdictsOf } from './report.ts'
import type { Summary } from './lib/statistics.ts'

interface File extends Results {
  readonly date: string
  readonly command: string
  readonly machine: string
  readonly seconds: number
}

const MEASURED = 1
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

function resultTable(reports: readonly Report[]): string {
  const lines = reports.flatMap(report =>
    report.lines
      .filter(({ ratios }) => ratios.some(ratio => ratio !== undefined && ratio !== null))
      .map(line => {
        const cells = ['ceiling', 'Throughline', 'soketi', 'Socket.IO'].flatMap(name => {
          const who = report.contestants.indexOf(name)
          const ratio = line.ratios[who]
          return who === MEASURED
            ? [line.shown[who]]
            : [line.shown[who] ?? '–', ratio && ratio.least > 0 ? times(ratio) : '–']
        })
        const verdict = verdictsOf(line, '**missed**')
        return `| \`${report.name}\` | ${line.title.trim()} | ${cells.join(' | ')} | ${verdict} |`
      }),
  )
  return [
    'Each × is what Throughline does, divided by what stands before it: median, least and most.',
    '',
    '| scenario | | ceiling | × | Throughline | soketi | × | Socket.IO | × | asked |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

function times({ median, least, most }: Summary): string {
  const digits = median < 10 ? 2 : 0
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`. */
function put(path: string, parts: Readonly<Record<string, string>>): void {
  let page = readFileSync(ROOT + path, 'utf8')
  for (const [name, text] of Object.entries(parts)) {
    const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const from = page.indexOf(start)
    const to = page.indexOf(end)
    if (from < 0 || to < from) throw new Error(`${path} has no ${start} … ${end}`)
    page = `${page.slice(0, from + start.length)}\n${text}\n${page.slice(to)}`
  }
  writeFileSync(ROOT + path, page)
}

const [, , file] = process.argv
if (file === undefined)
  throw new Error('a results file was expected: npm run bench -- --all --peers --json results.json')
const { reports, redis, date, command, machine, seconds } = JSON.parse(readFileSync(file, 'utf8')) as File
const costs = costsOf({ reports, ...(redis && { redis }) })
const told = `\`${command}\` on ${date}, ${Math.round(seconds / 60)} minutes: ${machine}.`
writeFileSync(
  `${ROOT}bench/results.svg`,
  chartOf(reports, `${date}, ${machine}; one core for each contestant's servers in turn`),
)
put('bench/README.md', { results: `${told}\n\n![The results as bars](results.svg)\n\n${resultTable(reports)}` })
put('docs/operate/capacity.md', {
  measured: told,
  costs: costTable(costs),
  plans: planTable(costs),
  losses: lossTable(costs),
  queues: queueTable(),
  shards: shardTable(),
})
