import type { Brand, SiteId, ThreadId, UserId } from './ids.ts'

/**
 * Where events are delivered. Only this file makes one, and only from a site id, so that the compiler keeps tenants
 * apart (promise 5): a site id has no `/`, so no thread or user id can reach into another site.
 */
export type Topic = Brand<string, 'Topic'>

export function threadTopic(site: SiteId, thread: ThreadId): Topic {
  return `${site}/thread:${thread}` as Topic
}

export function userTopic(site: SiteId, user: UserId): Topic {
  return `${site}/user:${user}` as Topic
}

export function siteTopic(site: SiteId): Topic {
  return `${site}/site` as Topic
}

/** Returns the name that origins use for the topic's chain: `thread:42`, `user:7` or `site`. */
export function chainName(topic: Topic): string {
  return topic.slice(topic.indexOf('/') + 1)
}

/** Returns the name that clients see: as above, but a client's own chain is just `user` (CONTRACT 7). */
export function clientChainName(topic: Topic): string {
  const name = chainName(topic)
  return name.startsWith('user:') ? 'user' : name
}
