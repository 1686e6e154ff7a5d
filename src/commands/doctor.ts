import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../lib/clock.ts'
import { ifGiven, parsed, siteId } from './arguments.ts'
import { type Command, print, printable, UsageError } from './command.ts'
import { found, ok, type Options, type Result, skipped } from './doctor/check.ts'
import { CHECKS } from './doctor/checks.ts'
import { examine, type Line } from './doctor/examine.ts'
import { FINDINGS } from './doctor/findings.ts'
import { readJwk } from './jwk.ts'

const help = `throughline doctor [--config FILE] [--url URL --api URL] [--site ID] [--key FILE] [--licence FILE] [--json]

Looks at everything that a node needs, and says what is wrong and what to do. Reads the same configuration as serve. A node
that runs is tried too: a token, a connection, an event and its way back, and the callbacks of the sites.
The exit code is 0 if nothing failed (there may be warnings), 1 if something did, 78 if the configuration is wrong.

  --config   a file with NAME=value lines, as for serve
  --url      the WebSocket URL of the node to try, such as wss://relay.example.com/v1/ws; by default the configured address
  --api      where that node's API is, such as https://relay.example.com
  --site     the site to try it with; by default the first of the site file that has a secret, and the callbacks of all
  --key      a file with the private key or secret (a JWK) that signs for the site
  --licence  a file with the site's licence, for a site that stands in no site file
  --json     prints one JSON object instead of lines

Example:
  THROUGHLINE_SITES=sites.json throughline doctor`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: 'string' },
      url: { type: 'string' },
      api: { type: 'string' },
      site: { type: 'string' },
      key: { type: 'string' },
      licence: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if ((values.url === undefined) !== (values.api === undefined)) throw new UsageError('--url and --api go together')
  if ((values.key ?? values.licence) !== undefined && values.site === undefined)
    throw new UsageError('say --site ID, too')
  // Read again where they are used; what is wrong with them is no finding.
  ifGiven(values.key, readJwk)
  ifGiven(values.licence, file => readFileSync(file))
  const options = {
    ...values,
    url: ifGiven(values.url, url => parsed(url, '--url', schemed(/^wss?:$/), 'a ws or wss URL')),
    api: ifGiven(values.api, api => parsed(api, '--api', schemed(/^https?:$/), 'an http or https URL')),
    site: ifGiven(values.site, site => siteId(site, '--site')),
  }
  const json = values.json === true
  const lines: Line[] = []
  for await (const line of look(values.config, options)) {
    lines.push(line)
    if (!json) print(printable(tell(line)))
  }
  const exit = exitCode(lines)
  print(json ? JSON.stringify(report(lines, exit)) : `\n${summary(lines)}`)
  return exit
}

export const doctor: Command = { help, run }

function schemed(scheme: RegExp) {
  return (text: string): string | undefined =>
    URL.canParse(text) && scheme.test(new URL(text).protocol) ? text.replace(/\/+$/, '') : undefined
}

async function* look(file: string | undefined, options: Options): AsyncGenerator<Line> {
  const config = configure(file)
  if ('level' in config) {
    yield { check: 'configuration', ...config }
    for (const { name } of CHECKS) yield { check: name, ...skipped('the configuration is wrong') }
    return
  }
  yield { check: 'configuration', ...ok('every variable is known and has a value that can be used') }
  yield* examine(config, options, systemClock)
}

function configure(file: string | undefined): Config | Result {
  try {
    return loadConfig(undefined, file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return found('configuration_wrong', error.message)
  }
}

function exitCode(lines: readonly Line[]): number {
  if (lines.some(({ finding }) => finding === 'configuration_wrong')) return 78
  return lines.some(({ level }) => level === 'fail') ? 1 : 0
}

function counts(lines: readonly Line[]): Record<Result['level'], number> {
  const count = (of: Result['level']): number => lines.filter(({ level }) => level === of).length
  return { ok: count('ok'), warn: count('warn'), fail: count('fail'), skipped: count('skipped') }
}

function report(lines: readonly Line[], exit: number): object {
  const checks = lines.map(({ finding, ...line }) =>
    finding === undefined ? line : { ...line, finding, remedy: FINDINGS[finding].remedy },
  )
  return { exit, summary: counts(lines), checks }
}

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'fail', skipped: '-   ' }

function tell({ check, level, finding, says }: Line): string {
  const told = `${MARKS[level]}  ${check.padEnd(14)}${says}`
  return finding === undefined ? told : `${told}\n${' '.repeat(20)}→ ${FINDINGS[finding].remedy} [${finding}]`
}

function summary(lines: readonly Line[]): string {
  const { ok, warn, fail, skipped } = counts(lines)
  return `${ok} ok, ${warn} ${warn === 1 ? 'warning' : 'warnings'}, ${fail} failed, ${skipped} skipped`
}
