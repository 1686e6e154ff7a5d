import { parseArgs } from 'node:util'
import { type Deed, DEEDS } from '../callbacks/steer.ts'
import { callAdmin } from './admin.ts'
import { API_HELP, API_OPTIONS, apiUrl, callApi, type Method } from './api.ts'
import { need, siteId } from './arguments.ts'
import { type Command, print, printable, UsageError } from './command.ts'

const PATIENCE_MS = 15_000

const help = `throughline callbacks --site ID [--pause | --resume | --drop | --retry] [options]

Shows what waits for a site's callback: how much, since when, what went wrong last and when it is tried again. Asks the API as
the site's server, or the admin port of a node as the operator, who needs no key of the site.

  --site         the site
  --pause        first, sends nothing any more; what is to be told waits, a day at most
  --resume       first, goes on after a pause, at once
  --drop         first, drops what waits; does not ask
  --retry        first, tries at once what waits, also after a 410
  --json         prints the relay's answer as it came: that to what was done, or the queue
  --admin        where a node's admin port is, such as http://127.0.0.1:9090, instead of --api and a key
${API_HELP}

Example:
  throughline callbacks --site acme --pause`

interface Queue {
  readonly state: string
  readonly depth: number
  readonly age?: number
  readonly next_attempt?: number
  readonly last_error?: { readonly at: number; readonly message: string }
}

async function run(args: string[]): Promise<number> {
  const flags = Object.fromEntries(DEEDS.map(deed => [deed, { type: 'boolean' }] as const)) as Record<
    Deed,
    { type: 'boolean' }
  >
  const { values } = parseArgs({
    args,
    options: {
      ...API_OPTIONS,
      ...flags,
      site: { type: 'string' },
      admin: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  const { admin, ...api } = values
  const site = siteId(need(values.site, '--site ID'), '--site')
  const deeds = DEEDS.filter(deed => values[deed] === true)
  if (deeds.length > 1) throw new UsageError(`say one of --${deeds.join(' and --')}`)
  if (admin !== undefined && (api.key ?? api.licence) !== undefined) {
    throw new UsageError('--admin needs neither --key nor --licence')
  }
  const ask = (method: Method, path: string): Promise<string> =>
    admin === undefined
      ? callApi(apiUrl(api, `/v1${path}`), api, site, 'manage', method === 'GET' ? undefined : '{}', PATIENCE_MS)
      : callAdmin(admin, method, path, site, PATIENCE_MS)

  const [deed] = deeds
  const done = deed === undefined ? undefined : await ask('POST', `/callbacks/${deed}`)
  if (done !== undefined && deed === 'drop' && values.json !== true) {
    print(`${(JSON.parse(done) as { dropped: number }).dropped} dropped`)
  }
  if (values.json === true) print(done ?? (await ask('GET', '/callbacks')))
  else print(printable(tell(JSON.parse(await ask('GET', '/callbacks')) as Queue)))
  return 0
}

export const callbacks: Command = { help, run }

function tell({ state, depth, age, next_attempt: next, last_error: error }: Queue): string {
  const lines = [
    ['state', state],
    ['waiting', age === undefined ? String(depth) : `${depth}, the oldest for ${span(age)}`],
    ['next attempt', next === undefined ? undefined : time(next)],
    ['last error', error === undefined ? undefined : `${error.message} (${time(error.at)})`],
  ] as const
  return lines.flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(14)}${text}`])).join('\n')
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '')
}

function span(seconds: number): string {
  const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor)
  return `${h === 0 ? '' : `${h} h `}${h === 0 && m === 0 ? '' : `${m} min `}${s} s`
}
