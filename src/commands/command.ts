/** What cli.ts runs. */
export interface Command {
  readonly help: string
  /** Returns the exit code. */
  run(args: string[]): Promise<number>
}

/** A command line that cannot be understood. Its message says what to do, in one line; exit code 64 (EX_USAGE). */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something that may well happen to a command, told in one line; exit code 1. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

/** Writes one line to stdout. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Returns what may be printed of what a site has said: it does not get to steer a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '?')
}
