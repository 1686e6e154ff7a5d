import { type Brand, parseThreadId, parseUserId, type SiteId, type ThreadId, type UserId } from './ids.ts'

/**
 * Where events are delivered. Only this file makes one, and only from a site id, so that the compiler keeps tenants
 * apart (promise 5): a site id has no `/`, so no thread or user id can reach into another site.
 */
export type Topic = Brand<string, 'Topic'>

export function threadTopic(site: SiteId, thread: ThreadId): Topic {
  return topic(site, '/thread:', thread)
}

export function userTopic(site: SiteId, user: UserId): Topic {
  return topic(site, '/user:', user)
}

export function siteTopic(site: SiteId): Topic {
  return `${site}/site` as Topic
}

/** Where it is told who is in a thread. Not a chain. */
export function presenceTopic(site: SiteId, thread: ThreadId): Topic {
  return topic(site, '/presence:', thread)
}

/** Where it is told whether a user is online. Not a chain. */
export function onlineTopic(site: SiteId, user: UserId): Topic {
  return topic(site, '/online:', user)
}

/** Returns the topic of a chain that an origin names: `thread:42`, `user:7` or `site`; undefined when the name is none. */
export function chainTopic(site: SiteId, name: unknown): Topic | undefined {
  if (name === 'site') return siteTopic(site)
  if (typeof name !== 'string') return undefined
  const colon = name.indexOf(':')
  const kind = name.slice(0, colon)
  const thread = kind === 'thread' ? parseThreadId(name.slice(colon + 1)) : undefined
  if (thread !== undefined) return threadTopic(site, thread)
  const user = kind === 'user' ? parseUserId(name.slice(colon + 1)) : undefined
  return user === undefined ? undefined : userTopic(site, user)
}

export function siteOf(topic: Topic): SiteId {
  return topic.slice(0, topic.indexOf('/')) as SiteId
}

/** Returns the thread whose chain's topic it is; undefined for other topics. */
export const threadOf = (topic: Topic): ThreadId | undefined => idAfter('thread:', topic) as ThreadId | undefined
export const threadOfPresence = (topic: Topic): ThreadId | undefined =>
  idAfter('presence:', topic) as ThreadId | undefined
export const userOfOnline = (topic: Topic): UserId | undefined => idAfter('online:', topic) as UserId | undefined

export function isUserTopic(topic: Topic): boolean {
  return topic.startsWith('user:', topic.indexOf('/') + 1)
}

/** Tells whether events have an order at this topic. */
export function isChain(topic: Topic): boolean {
  return threadOfPresence(topic) === undefined && userOfOnline(topic) === undefined
}

// Joined, since a template makes a rope of parts, and there are some of these for each connection.
function topic(site: SiteId, kind: string, id: string): Topic {
  return [site, kind, id].join('') as Topic
}

function idAfter(kind: string, topic: Topic): string | undefined {
  const start = topic.indexOf('/') + 1
  return topic.startsWith(kind, start) ? topic.slice(start + kind.length) : undefined
}

/** Returns the name that origins use for the topic's chain: `thread:42`, `user:7` or `site`. */
export function chainName(topic: Topic): string {
  return topic.slice(topic.indexOf('/') + 1)
}

/** Returns the name that clients see: as above, but a client's own chain is just `user` (CONTRACT 7). */
export function clientChainName(topic: Topic): string {
  return isUserTopic(topic) ? 'user' : chainName(topic)
}
