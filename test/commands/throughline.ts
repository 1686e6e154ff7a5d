/** The built command, run as a real process in a folder that goes away with the test. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Command } from '../../src/commands/command.ts'

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Folder {
  readonly path: string
  file(name: string): string
  /** Runs `throughline` with these words. */
  run(...args: string[]): Promise<Outcome>
  /** The same, with something on stdin. */
  pipe(input: string | Buffer, ...args: string[]): Promise<Outcome>
  /** Runs a line of shell that may say `throughline`. */
  shell(line: string): Promise<Outcome>
}

export async function openFolder(t: Test): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'throughline-command-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  const bin = await mkdtemp(join(tmpdir(), 'throughline-bin-'))
  t.teardown(() => rm(bin, { recursive: true, force: true }))
  const command = join(bin, 'throughline')
  // tap puts its loader into every child by NODE_OPTIONS; in some hundred short processes that takes longer than all the rest.
  await writeFile(command, `#!/bin/sh\nunset NODE_OPTIONS\nexec "${process.execPath}" "${CLI}" "$@"\n`, { mode: 0o755 })

  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('THROUGHLINE_'))
  const env = { ...Object.fromEntries(others), PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` }
  const start = async (program: string, args: readonly string[], input: string | Buffer = ''): Promise<Outcome> => {
    const child = spawn(program, args, { cwd: path, env })
    child.stdin.on('error', () => {}) // a command that refuses its options ends before it reads
    child.stdin.end(input)
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: code as number | null, stdout, stderr }
  }
  return {
    path,
    file: name => join(path, name),
    run: (...args) => start(command, args),
    pipe: (input, ...args) => start(command, args, input),
    shell: line => start('/bin/sh', ['-e', '-c', line]),
  }
}

/** Fails unless the command ended with this code, nothing on stdout, and on stderr one line that has `words`. */
export function refused(t: Test, outcome: Outcome, code: number, words: string | RegExp): void {
  t.equal(outcome.code, code, outcome.stderr)
  t.equal(outcome.stdout, '')
  t.match(outcome.stderr, /^[^\n]+\n$/, 'one line')
  t.match(outcome.stderr, words)
}

/**
 * Fails unless the command refuses this command line with `words`. Without a process, for long lists: cli.test.ts shows
 * what a process makes of such a refusal.
 */
export async function misused(t: Test, command: Command, args: string[], words: string): Promise<void> {
  await t.rejects(command.run(args), { name: 'UsageError', message: words }, args.join(' '))
}
