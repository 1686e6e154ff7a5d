import { summary } from './lib/statistics.ts'
import { keeps, type Row, type Scenario, showBudget } from './scenarios.ts'

/** The numbers of one run. */
export type Result = Readonly<Record<string, number>>

/** What the ceiling did and, next to it in time, what the other did. */
export interface Pair {
  readonly ceiling: Result
  readonly other: Result
}

const WIDTHS = [46, 32, 32, 22, 14]

/** Returns the table of a scenario as text, and whether every budget was kept. */
export function report(scenario: Scenario, pairs: readonly Pair[], other: string): { text: string; kept: boolean } {
  const lines = [
    `\n${scenario.title} (${pairs.length === 1 ? 'one pair of runs' : `${pairs.length} pairs of runs`})`,
    line('', 'ceiling', other, 'ratio', 'budget'),
  ]
  let kept = true
  for (const row of scenario.rows) {
    const values = summary(pairs.map(pair => row.value(pair.other)))
    const ratios = summary(pairs.map(pair => row.value(pair.other) / row.value(pair.ceiling)))
    const verdict = row.budget === undefined || keeps(row.budget, ratios.median, values.median)
    kept &&= verdict
    lines.push(
      line(
        `  ${row.title}`,
        spread(
          row,
          pairs.map(pair => row.value(pair.ceiling)),
        ),
        spread(
          row,
          pairs.map(pair => row.value(pair.other)),
        ),
        row.compared === true
          ? `${ratios.median.toFixed(2)} (${ratios.least.toFixed(2)}–${ratios.most.toFixed(2)})`
          : '',
        row.budget === undefined ? '' : `${showBudget(row.budget, row)} ${verdict ? 'kept' : 'MISSED'}`,
      ),
    )
  }
  return { text: lines.join('\n'), kept }
}

function spread(row: Row, values: readonly number[]): string {
  const { median, least, most } = summary(values)
  return `${row.show(median)} (${row.show(least)} – ${row.show(most)})`
}

function line(...cells: readonly string[]): string {
  return cells
    .map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0))
    .join(' ')
    .trimEnd()
}
