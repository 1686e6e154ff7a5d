import { parseArgs } from 'node:util'
import type { Diagnosis } from '../callbacks/diagnose/diagnose.ts'
import { API_HELP, API_OPTIONS, apiUrl, callApi } from './api.ts'
import { need, siteId } from './arguments.ts'
import { type Command, print, printable, UsageError } from './command.ts'

/** A test of a slow site takes up to a minute. */
const PATIENCE_MS = 90_000

const help = `throughline callback test --site ID [options]

Has the relay call the site's callback URL with a signed ping, and tells step by step what happened, and what to do.
The exit code is 1 if callbacks do not arrive.

  --site         the site whose callback is tested
  --json         prints the relay's answer as it came
${API_HELP}

Example:
  throughline callback test --site acme`

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ...API_OPTIONS, site: { type: 'string' }, json: { type: 'boolean' } },
  })
  if (positionals.length !== 1 || positionals[0] !== 'test') throw new UsageError('say what to do: callback test')
  const site = siteId(need(values.site, '--site ID'), '--site')
  const answer = await callApi(apiUrl(values, '/v1/callbacks/test'), values, site, 'manage', '{}', PATIENCE_MS)
  const diagnosis = JSON.parse(answer) as Diagnosis
  print(values.json === true ? answer : tell(diagnosis))
  return diagnosis.ok ? 0 : 1
}

export const callback: Command = { help, run }

function tell({ ok, url, steps, culprit, allow }: Diagnosis): string {
  const lines = steps.map(
    ({ step, ok, says, ms }) => `  ${ok ? 'ok    ' : 'FAILED'} ${step.padEnd(9)} ${says} (${ms} ms)`,
  )
  const end = ok
    ? ['Callbacks arrive.']
    : [
        `Callbacks do not arrive: ${culprit?.says}.`,
        `What to do: ${culprit?.remedy}`,
        `To allow: ${allow.method} ${allow.path}, User-Agent ${allow.user_agent}, headers ${allow.headers.join(', ')}`,
      ]
  return printable([url, ...lines, '', ...end].join('\n'))
}
