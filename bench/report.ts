import { summary, type Summary } from './lib/statistics.ts'
import { keeps, type Row, type Scenario, showBudget } from './scenarios.ts'

/** The numbers of one run. */
export type Result = Readonly<Record<string, number>>

/** What each contestant did next to the others in time, in their order: the ceiling, Throughline, peers. */
export type Round = readonly Result[]

const MEASURED = 1
const FIRST_WIDTH = 46
const WIDTH = 30
const RATIO_WIDTH = 20

export interface Line {
  readonly key: string
  readonly title: string
  readonly values: readonly Summary[]
  /** As they are shown, the medians. */
  readonly shown: readonly string[]
  /** Throughline's to each contestant's, its own left out; empty where comparing says nothing. */
  readonly ratios: readonly (Summary | undefined)[]
  readonly budget?: string
  readonly kept?: boolean
  /** What is asked beside peers, in words, and whether it was reached. */
  readonly against: readonly { readonly target: string; readonly reached: boolean }[]
}

/** All that is known of a scenario, as it is written to a results file. */
export interface Report {
  readonly name: string
  readonly title: string
  readonly contestants: readonly string[]
  readonly rounds: number
  readonly lines: readonly Line[]
}

export function reportOf(scenario: Scenario, contestants: readonly string[], rounds: readonly Round[]): Report {
  const lines = scenario.rows.map(row => {
    const of = (round: Round, who: number): number => row.value(round[who] ?? {})
    const values = contestants.map((_, who) => summary(rounds.map(round => of(round, who))))
    const ratios = contestants.map((_, who) =>
      row.compared === true && who !== MEASURED
        ? summary(rounds.map(round => of(round, MEASURED) / of(round, who)))
        : undefined,
    )
    const against = Object.entries(row.against ?? {}).flatMap(([name, target]) => {
      const ratio = ratios[contestants.indexOf(name)]?.median
      const words = `${showBudget(target, row)} ${name}`
      return ratio === undefined ? [] : [{ target: words, reached: keeps(target, ratio, Number.NaN) }]
    })
    const shown = values.map(({ median }) => row.show(median))
    const line = { key: row.key, title: row.title, values, shown, ratios, against }
    if (row.budget === undefined) return line
    const kept = keeps(row.budget, ratios[0]?.median ?? Number.NaN, values[MEASURED]?.median ?? Number.NaN)
    return { ...line, budget: showBudget(row.budget, row), kept }
  })
  return { name: scenario.name, title: scenario.title, contestants, rounds: rounds.length, lines }
}

/** Returns the table of a scenario as text. */
export function tableOf(report: Report, rows: readonly Row[]): string {
  const { contestants, rounds, title } = report
  const others = contestants.flatMap((name, who) => (who === MEASURED ? [] : [`to ${name}`]))
  const table = report.lines.map((line, i) =>
    cells(
      `  ${line.title}`,
      line.values.map(value => spread(rows[i]!, value)),
      line.ratios.flatMap((ratio, who) => (who === MEASURED ? [] : [ratio === undefined ? '' : times(ratio)])),
      verdictsOf(line, 'MISSED'),
    ),
  )
  return [
    `\n${title} (${rounds === 1 ? 'measured once' : `measured ${rounds} times each`})`,
    cells('', contestants, others, 'budget'),
    ...table,
  ].join('\n')
}

/** Returns what was asked and whether it was reached, as words. */
export function verdictsOf({ budget, kept, against }: Line, missed: string): string {
  return [...(budget === undefined ? [] : [{ target: budget, reached: kept }]), ...against]
    .map(({ target, reached }) => `${target} ${reached === true ? 'kept' : missed}`)
    .join(', ')
}

function spread(row: Row, { median, least, most }: Summary): string {
  return `${row.show(median)} (${row.show(least)} – ${row.show(most)})`
}

function times({ median, least, most }: Summary): string {
  const digits = median < 10 ? 2 : 0
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

function cells(first: string, values: readonly string[], ratios: readonly string[], last: string): string {
  return [
    first.padEnd(FIRST_WIDTH),
    ...values.map(value => value.padEnd(WIDTH)),
    ...ratios.map(ratio => ratio.padEnd(RATIO_WIDTH)),
    last,
  ]
    .join(' ')
    .trimEnd()
}
