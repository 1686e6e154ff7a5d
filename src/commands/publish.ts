import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseConnectionId, parseEventId, parseEventType, parseThreadId, parseUserId } from '../protocol/ids.ts'
import { ID, ifGiven, need, parsed, siteId } from './arguments.ts'
import { type Command, Failure, print, UsageError } from './command.ts'
import { parseObject } from './jwk.ts'
import { SITE_FILE } from './site-file.ts'
import { serverClaims, signingKey, siteToken } from './token.ts'

const API = 'http://127.0.0.1:8081'
const TOKEN_SECONDS = 60
const PATIENCE_MS = 15_000 // a relay answers within 5 s (CONTRACT 27)

const help = `throughline publish --site ID (--thread ID | --user ID… | --to-site) --type TYPE --data JSON [options]

Publishes one event, as a site's server would, and prints the answer.

  --site         the site that publishes
  --thread       to the subscribers of a thread
  --user         to the connections of a user; may be given several times
  --to-site      to all connections of the site
  --type         the event's type, such as message
  --data         the event's content: JSON, passed on byte for byte; - reads it from stdin
  --id           the event's id; a repeat within 5 minutes is not delivered again
  --ephemeral    for those who listen now: the event gets no place in the chain
  --except       the id of a connection that is not shown the event
  --api          where the API is (default ${API})
  --sites        the site file, whose secret of the site signs the call (default ${SITE_FILE})
  --key          a file with the private key or secret (a JWK) that signs instead
  --licence      a file with the site's licence, for a relay that has the site in no site file

Example:
  throughline publish --site acme --thread 42 --type message --data '{"text":"hello"}'`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      api: { type: 'string', default: API },
      site: { type: 'string' },
      sites: { type: 'string', default: SITE_FILE },
      key: { type: 'string' },
      licence: { type: 'string' },
      thread: { type: 'string' },
      user: { type: 'string', multiple: true },
      'to-site': { type: 'boolean' },
      type: { type: 'string' },
      data: { type: 'string' },
      id: { type: 'string' },
      ephemeral: { type: 'boolean' },
      except: { type: 'string' },
    },
  })
  const site = siteId(need(values.site, '--site ID'), '--site')
  const url = parsed(values.api, '--api', parseUrl, 'an http or https URL')
  const envelope = {
    to: target(values.thread, values.user, values['to-site']),
    type: parsed(need(values.type, '--type TYPE'), '--type', parseEventType, 'a type: 1 to 64 of A-Z a-z 0-9 _ . : -'),
    id: ifGiven(values.id, id => parsed(id, '--id', parseEventId, `an event id: ${ID}`)),
    ephemeral: values.ephemeral,
    except: ifGiven(values.except, id => parsed(id, '--except', parseConnectionId, 'a connection id')),
  }
  const body = splice(envelope, readData(need(values.data, '--data JSON')))
  const token = await siteToken(signingKey(values, site), site, TOKEN_SECONDS, serverClaims('publish'))
  const licence =
    values.licence === undefined ? {} : { 'Throughline-Licence': readFileSync(values.licence, 'utf8').trim() }
  print(await post(url, { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...licence }, body))
  return 0
}

export const publish: Command = { help, run }

function target(thread: string | undefined, users: string[] | undefined, toSite: boolean | undefined): object {
  if ([thread, users, toSite].filter(value => value !== undefined).length !== 1) {
    throw new UsageError('say one of --thread ID, --user ID and --to-site')
  }
  if (thread !== undefined) return { thread: parsed(thread, '--thread', parseThreadId, `a thread id: ${ID}`) }
  if (users) return { users: users.map(user => parsed(user, '--user', parseUserId, `a user id: ${ID}`)) }
  return { site: true }
}

function readData(text: string): Buffer {
  const bytes = text === '-' ? readFileSync(0) : Buffer.from(text)
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    throw new UsageError(`--data is not JSON in UTF-8; a text needs its quotes: --data '"hello"'`)
  }
  return bytes
}

/** Puts `data` into the body as it was given: to parse and write it again would change big numbers, spacing and order. */
function splice(envelope: object, data: Buffer): Buffer {
  const start = JSON.stringify(envelope).slice(0, -1)
  return Buffer.concat([Buffer.from(`${start},"data":`), data, Buffer.from('}')])
}

async function post(url: string, headers: Record<string, string>, body: Buffer): Promise<string> {
  const answer = await reach(url, {
    method: 'POST',
    headers,
    body,
    redirect: 'manual',
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  const text = (await answer.text()).trim()
  if (answer.ok) return text
  const problem = answer.headers.get('content-type')?.startsWith('application/problem+json')
    ? parseObject(text)
    : undefined
  if (problem === undefined) throw new Failure(`${url} answered ${answer.status}, and not as a relay; is --api right?`)
  throw new Failure(`${String(problem['code'])}: ${String(problem['detail'] ?? problem['title'])}`)
}

async function reach(url: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, request)
  } catch (error) {
    // fetch says only "fetch failed"; what happened stands in the cause.
    const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw new Failure(`cannot reach ${url} (${cause.code ?? cause.message}); is a node running there?`)
  }
}

function parseUrl(text: string): string | undefined {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return undefined
  return `${text.replace(/\/+$/, '')}/v1/publish`
}
