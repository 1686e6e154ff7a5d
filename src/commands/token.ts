import { parseArgs } from 'node:util'
import type { JWTPayload } from 'jose'
import { systemClock } from '../lib/clock.ts'
import { parseThreadId, parseUserId, type SiteId } from '../protocol/ids.ts'
import { duration, ID, need, parsed, siteId } from './arguments.ts'
import { type Command, print, UsageError } from './command.ts'
import { type Jwk, readJwk, sign } from './jwk.ts'
import { SITE_FILE, siteSecret } from './site-file.ts'

const PERMISSIONS = ['read', 'send', 'presence']
const SCOPES = ['publish', 'presence', 'manage']

const help = `throughline token --site ID [--sites FILE | --key FILE] --user ID [--thread ID=PERMISSIONS]… [--for TIME]
throughline token --site ID [--sites FILE | --key FILE] --api [--scope WORDS] [--for TIME]

Makes a token and prints it, alone. The first form is for a user's browser, the second for a server that calls the API.

  --site     the site that the token is for
  --sites    the site file, whose secret of the site signs (default ${SITE_FILE})
  --key      a file with the private key or secret (a JWK) that signs instead
  --user     the user's id
  --thread   a thread that the user may use and how: read, send, presence, with commas; may be given several times
  --api      makes a server token
  --scope    what it may do: publish, presence, manage, with spaces; by default everything
  --for      how long it is good: 90s, 10m, 1h. By default 1h for a user (24h at most), 10m for a server (1h at most)

Examples:
  throughline token --site acme --user 7 --thread 42=read,send
  throughline token --site acme --api --scope publish`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      site: { type: 'string' },
      sites: { type: 'string', default: SITE_FILE },
      key: { type: 'string' },
      user: { type: 'string' },
      thread: { type: 'string', multiple: true },
      api: { type: 'boolean', default: false },
      scope: { type: 'string' },
      for: { type: 'string' },
    },
  })
  const { user, thread, api, scope } = values
  const site = siteId(need(values.site, '--site ID'), '--site')
  if (api === (user !== undefined)) throw new UsageError('say either --user ID or --api')
  if (api && thread) throw new UsageError('--thread goes with --user, not with --api')
  if (!api && scope !== undefined) throw new UsageError('--scope goes with --api, not with --user')

  const claims = api ? serverClaims(scope) : userClaims(user ?? '', thread ?? [])
  const seconds = duration(values.for ?? (api ? '10m' : '1h'), '--for', api ? '1h' : '24h')
  print(await siteToken(signingKey(values, site), site, seconds, claims))
  return 0
}

export const token: Command = { help, run }

/** Returns what signs for a site: the key that was named, or the site file's secret. */
export function signingKey({ key, sites }: { key?: string; sites: string }, site: SiteId): Jwk {
  return key === undefined ? siteSecret(sites, site) : readJwk(key)
}

/** Returns a token of a site that is good for some seconds from now. */
export function siteToken(key: Jwk, site: SiteId, seconds: number, claims: JWTPayload): Promise<string> {
  const now = Math.floor(systemClock.now() / 1000)
  return sign(key, { iss: site, iat: now, exp: now + seconds, ...claims })
}

export function serverClaims(scope: string | undefined): JWTPayload {
  const aud = 'throughline:api'
  if (scope === undefined) return { aud }
  return { aud, scope: words(scope, ' ', SCOPES, '--scope').join(' ') }
}

function userClaims(user: string, threads: readonly string[]): JWTPayload {
  const sub = parsed(user, '--user', parseUserId, `a user id: ${ID}`)
  const allowed = threads.map(text => {
    const [, name = '', permissions] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
    const thread = parsed(name, '--thread', parseThreadId, `a thread id: ${ID}`)
    return [thread, words(need(permissions, `--thread ${thread}=PERMISSIONS`), ',', PERMISSIONS, '--thread')]
  })
  return { aud: 'throughline', sub, ...(allowed.length > 0 && { threads: Object.fromEntries(allowed) }) }
}

function words(text: string, separator: string, known: readonly string[], option: string): string[] {
  const given = text.split(separator)
  const unknown = given.find(word => !known.includes(word))
  if (unknown !== undefined) {
    throw new UsageError(`${option} has ${JSON.stringify(unknown)}; the words it knows are ${known.join(', ')}`)
  }
  return given
}
