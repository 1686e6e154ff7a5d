/** The doctor's checks, made in this process: a process for each case would take longer than all the rest. */
import type { Options } from '../../src/commands/doctor/check.ts'
import { examine, type Line } from '../../src/commands/doctor/examine.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'

/** What was found, to be asked for by a check's name. */
export class Findings {
  readonly lines: readonly Line[]

  constructor(lines: readonly Line[]) {
    this.lines = lines
  }

  /** Returns the levels, findings and words of one check. */
  of(check: string): { level: string; finding: string | undefined; says: string }[] {
    return this.lines.filter(line => line.check === check).map(({ level, finding, says }) => ({ level, finding, says }))
  }

  /** Returns what is wrong, by the names of the findings. */
  names(check: string): string[] {
    return this.lines.flatMap(line => (line.check === check ? (line.finding ?? []) : []))
  }

  says(check: string): string {
    return this.of(check)
      .map(({ says }) => says)
      .join('\n')
  }
}

const PORTS = {
  THROUGHLINE_WS_LISTEN: '127.0.0.1:0',
  THROUGHLINE_API_LISTEN: '127.0.0.1:0',
  THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0',
}

/** Examines what this environment configures. */
export async function examined(
  environment: Record<string, string>,
  options: Options = {},
  clock: Clock = systemClock,
): Promise<Findings> {
  const lines: Line[] = []
  for await (const line of examine(loadConfig({ ...PORTS, ...environment }), options, clock)) lines.push(line)
  return new Findings(lines)
}
