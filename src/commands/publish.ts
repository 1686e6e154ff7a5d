import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseConnectionId, parseEventId, parseEventType, parseThreadId, parseUserId } from '../protocol/ids.ts'
import { API_HELP, API_OPTIONS, apiUrl, callApi } from './api.ts'
import { ID, ifGiven, need, parsed, siteId } from './arguments.ts'
import { type Command, print, UsageError } from './command.ts'

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
${API_HELP}

Example:
  throughline publish --site acme --thread 42 --type message --data '{"text":"hello"}'`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      ...API_OPTIONS,
      site: { type: 'string' },
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
  const url = apiUrl(values, '/v1/publish')
  const envelope = {
    to: target(values.thread, values.user, values['to-site']),
    type: parsed(need(values.type, '--type TYPE'), '--type', parseEventType, 'a type: 1 to 64 of A-Z a-z 0-9 _ . : -'),
    id: ifGiven(values.id, id => parsed(id, '--id', parseEventId, `an event id: ${ID}`)),
    ephemeral: values.ephemeral,
    except: ifGiven(values.except, id => parsed(id, '--except', parseConnectionId, 'a connection id')),
  }
  const body = splice(envelope, readData(need(values.data, '--data JSON')))
  print(await callApi(url, values, site, 'publish', body, PATIENCE_MS))
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
