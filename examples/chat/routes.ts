import type { IncomingMessage } from 'node:http'
import { eventsOf } from './callback.ts'
import { eventIdOf, HttpError, placesOf, readBody, readJson, textOf, tokenOf } from './input.ts'
import type { Entry, Log, Place } from './log.ts'
import type { Outbox } from './outbox.ts'
import { pairOf, type People, type User } from './people.ts'
import type { RelayApi } from './relay-api.ts'
import { type SecretKey, userToken } from './tokens.ts'

export interface Parts {
  readonly site: string
  readonly key: SecretKey
  /** What callbacks are signed with: `whsec_…` */
  readonly secret: string
  /** Where pages reach the relay, such as `ws://127.0.0.1:8080`. */
  readonly relay: string
  /** Whether the relay has STUN or TURN servers for calls. */
  readonly hasIce: boolean
  readonly people: People
  readonly log: Log
  readonly api: RelayApi
  readonly outbox: Outbox
  /** Takes the relay away for a while. Only a demo has this. */
  readonly cut: () => void
}

export type Route = (request: IncomingMessage) => unknown

const NAME_CHARS = 40
const TEXT_CHARS = 2000

/** Returns what the origin answers, by method and path. Who asks, and whether they may, is looked at in each. */
export function routesOf(parts: Parts): Map<string, Route> {
  const { site, key, relay, hasIce, people, log, outbox, cut } = parts
  const threadOf = (user: User, value: unknown): string => {
    // The same words for a thread that is not there: nobody learns which there are.
    if (typeof value !== 'string' || !people.isMember(user, value)) throw new HttpError(403, 'No thread of yours.')
    return value
  }

  return new Map<string, Route>([
    [
      'POST /login',
      async request => {
        const { name } = await readJson(request)
        const found = people.called(textOf(name, 'name', NAME_CHARS, 'one line'))
        if (found === undefined) throw new HttpError(429, 'Too many people for a demo.')
        if (found.isNew) introduce(found.user, parts)
        const ice = hasIce ? `${relay.replace('ws', 'http')}/v1/ice` : undefined
        return { session: people.openSession(found.user), me: found.user, relay: `${relay}/v1/ws`, ice }
      },
    ],
    [
      'GET /token',
      request => {
        const user = userOf(request, parts)
        return userToken(site, user.id, people.threadsOf(user), key)
      },
    ],
    ['GET /inbox', async request => inbox(userOf(request, parts), parts)],
    [
      'POST /since',
      async request => {
        const user = userOf(request, parts)
        const places = placesOf((await readJson(request))['chains'])
        for (const chain of places.keys()) {
          if (chain !== 'user' && chain !== 'site') threadOf(user, /^thread:(.+)/.exec(chain)?.[1])
        }
        return since(user, places, parts)
      },
    ],
    [
      'POST /messages',
      async request => {
        const user = userOf(request, parts)
        const body = await readJson(request)
        const text = textOf(body['text'], 'text', TEXT_CHARS, 'many lines')
        const message = { author: user.id, text, key: tokenOf(body['key'], 'key') }
        const { entry, isNew } = log.save(threadOf(user, body['thread']), message)
        if (isNew) outbox.add(entry)
        return entry
      },
    ],
    [
      'POST /read',
      async request => {
        const user = userOf(request, parts)
        const { thread, upTo } = await readJson(request)
        outbox.add(log.mark(threadOf(user, thread), user.id, 'read', eventIdOf(upTo, 'upTo')))
        return {}
      },
    ],
    [
      // The relay calls: who has received what. The author was told by the relay at once; this is what remembers it.
      'POST /callback',
      async request => {
        for (const { type, thread = '', data } of eventsOf(request.headers, await readBody(request), parts.secret)) {
          if (type === 'event.delivered') outbox.add(log.mark(thread, data.user, 'delivered', Number(data.event)))
        }
        return {}
      },
    ],
    [
      'POST /cut',
      async request => {
        userOf(request, parts)
        await readJson(request)
        cut()
        return {}
      },
    ],
  ])
}

function userOf(request: IncomingMessage, { people }: Parts): User {
  // In a header, not in a cookie: so two windows of one browser can be two people, and no foreign page can use it.
  const session = /^Bearer ([\w-]{1,128})$/.exec(request.headers.authorization ?? '')?.[1]
  const user = session === undefined ? undefined : people.userOf(session)
  if (user === undefined) throw new HttpError(401, 'Log in first.')
  return user
}

/** Tells everybody else that somebody new is there, each on the chain of their own. */
function introduce(user: User, { people, log, outbox }: Parts): void {
  for (const { id } of people.all) {
    if (id !== user.id) outbox.add(log.add(`user:${id}`, 'person', { ...user, thread: pairOf(id, user.id) }))
  }
}

/**
 * Returns all that a page begins with. Heads first, then what they are heads of: so the page has at least what they
 * stand for, and asks for the rest (DESIGN.md section 7, edge a).
 */
async function inbox(user: User, { people, log, api, outbox }: Parts): Promise<object> {
  const threads = people.threadsOf(user)
  const own = `user:${user.id}`
  const { [own]: head, ...since } = await api.heads([own, 'site', ...threads.map(thread => `thread:${thread}`)])
  // Somebody may have come meanwhile.
  const conversations = people.threadsOf(user).map(id => Object.assign(log.snapshot(id), { id }))
  for (const { id } of conversations) outbox.add(log.mark(id, user.id, 'delivered', Infinity))
  return { people: people.all, conversations, since: { ...since, ...(head !== undefined && { user: head }) } }
}

/** Returns what came after these places, and which chains have more. What somebody is given here counts as delivered. */
function since(user: User, places: Map<string, Place>, { log, outbox }: Parts): object {
  const events: object[] = []
  const more: string[] = []
  for (const [chain, place] of places) {
    const answer = log.since(chain === 'user' ? `user:${user.id}` : chain, place)
    events.push(...answer.entries.map(entry => ({ ...entry, chain })))
    if (answer.more) more.push(chain)
    const last = answer.entries.findLast(isMessage)
    if (last !== undefined) outbox.add(log.mark(chain.slice('thread:'.length), user.id, 'delivered', last.id))
  }
  return { events, more }
}

const isMessage = ({ type }: Entry): boolean => type === 'message'
