#!/usr/bin/env node
import { type Command, Failure, print, UsageError } from './commands/command.ts'
import { ConfigError } from './config/config-error.ts'
import { serveHelp } from './config/help.ts'
import { nearest } from './config/nearest.ts'
import { version } from './config/version.ts'
import { Refusal } from './protocol/refusal.ts'

interface Entry {
  readonly does: string
  /** Loads the command. Only the one that is called for is loaded: none waits for another's libraries. */
  load(): Promise<Command>
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    does: 'starts a node',
    load: async () => ({ help: serveHelp(), run: async args => (await import('./commands/serve.ts')).serve(args) }),
  },
  keys: { does: 'makes a key', load: async () => (await import('./commands/keys.ts')).keys },
  site: { does: 'adds a site to the site file', load: async () => (await import('./commands/site.ts')).site },
  token: {
    does: 'makes a token for a user or a server',
    load: async () => (await import('./commands/token.ts')).token,
  },
  licence: { does: 'makes a licence for a site', load: async () => (await import('./commands/licence.ts')).licence },
  callback: {
    does: "tests whether a site's callback URL can be reached",
    load: async () => (await import('./commands/callback.ts')).callback,
  },
  callbacks: {
    does: "shows, pauses, retries or drops what waits for a site's callback",
    load: async () => (await import('./commands/callbacks.ts')).callbacks,
  },
  publish: { does: 'publishes an event', load: async () => (await import('./commands/publish.ts')).publish },
  doctor: {
    does: 'looks at everything that a node needs, and says what to do',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  top: { does: 'shows a cluster as it works', load: async () => (await import('./commands/top.ts')).top },
}

const HELP = `throughline COMMAND

A real-time relay for web origins that cannot hold WebSockets open.

${Object.entries(COMMANDS)
  .map(([name, { does }]) => `  ${name.padEnd(11)}${does}`)
  .join('\n')}

  --help     tells more; also after a command
  --version  prints the version

Example:
  throughline site add acme --origin https://example.com
  THROUGHLINE_SITES=sites.json throughline serve`

// sysexits.h: a wrong command line, a wrong configuration.
const EX_USAGE = 64
const EX_CONFIG = 78

/** Runs a command and returns the exit code. What is thrown becomes words here and nowhere else in the command. */
async function main([name = '', ...args]: string[]): Promise<number> {
  if (name === '--version') return say(version())
  if (name === '--help' || name === '-h' || name === 'help') return say(HELP)
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry === undefined) return await complain(unknown(name), EX_USAGE)
  try {
    const command = await entry.load()
    return asksForHelp(args) ? say(command.help) : await command.run(args)
  } catch (error) {
    if (error instanceof ConfigError) return await complain(error.message, EX_CONFIG)
    if (isUsageError(error)) {
      return await complain(`throughline ${name}: ${usageWords(error)}; see \`throughline ${name} --help\``, EX_USAGE)
    }
    if (isExpected(error)) return await complain(`throughline ${name}: ${error.message}`, 1)
    throw error
  }
}

function say(text: string): number {
  print(text)
  return 0
}

/** Waits until the line is written, since the process ends next. */
async function complain(text: string, exitCode: number): Promise<number> {
  const line = `${text.replaceAll(/\s*\n\s*/g, ' ')}\n`
  await new Promise(resolve => process.stderr.write(line, resolve))
  return exitCode
}

function asksForHelp(args: readonly string[]): boolean {
  return args.includes('--help') || args.includes('-h')
}

function unknown(name: string): string {
  const see = 'see `throughline --help` for the commands'
  if (name === '') return `throughline: no command was given; ${see}`
  const meant = nearest(name, Object.keys(COMMANDS))
  const hint = meant === undefined ? '' : `did you mean \`throughline ${meant}\`? `
  return `throughline: there is no command ${JSON.stringify(name)}; ${hint}${see}`
}

function isUsageError(error: unknown): error is Error {
  return error instanceof UsageError || errorCode(error).startsWith('ERR_PARSE_ARGS_')
}

/** Returns the first sentence or lines: what parseArgs adds to them about `--` helps nobody here. */
function usageWords(error: Error): string {
  return error.message.replace(/\. (?:To specify|This command).*/s, '').replace(/\.$/, '')
}

/** A Refusal and a Failure are ours; errors with a system call (no such file, port in use) say enough by themselves. */
function isExpected(error: unknown): error is Error {
  return error instanceof Refusal || error instanceof Failure || (error instanceof Error && 'syscall' in error)
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

const exitCode = await main(process.argv.slice(2))
// What a command had opened when it failed must not keep the process alive.
if (exitCode === 0) process.exitCode = 0
else process.exit(exitCode)
