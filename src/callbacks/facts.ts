import { createHash } from 'node:crypto'
import type { EventId, EventType, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import { siteOf, threadOfPresence, type Topic, userOfOnline } from '../protocol/topic.ts'
import type { Callback } from '../trust/trust.ts'
import type { Fact } from './queue.ts'

/** A fact that has no id yet. */
export type News = Omit<Fact, 'id'>

const PING = 'ping'
const type = (name: string): EventType => name as EventType

/** Tells whether a site wants to hear of such events. */
export function wants(callback: Callback | undefined, what: EventType): boolean {
  return callback !== undefined && (what === PING || callback.events.allow(what))
}

/** Returns what stands for how a site is told: another after each change. */
export function configOf(callback: Callback): string {
  return createHash('sha256').update(JSON.stringify(callback)).digest('base64url').slice(0, 16)
}

/** Returns what it means when a topic of presence begins or ceases to have users, and the site that it concerns. */
export function crossing(topic: Topic, occupied: boolean, version: number): { site: SiteId; news: News } {
  const at = Math.floor(version / 1000)
  const site = siteOf(topic)
  const thread = threadOfPresence(topic)
  if (thread !== undefined) {
    const state = { name: `thread:${thread}`, version }
    return { site, news: { type: type(occupied ? 'thread.occupied' : 'thread.vacated'), at, thread, state } }
  }
  const user = userOfOnline(topic)!
  const state = { name: `user:${user}`, version }
  return { site, news: { type: type(occupied ? 'user.online' : 'user.offline'), at, user, state } }
}

const DELIVERED = type('event.delivered')

/** Returns the fact that a user has got an event (CONTRACT 22). It may be told twice, and so has the same id each time. */
export function delivered(event: EventId, user: UserId, thread: ThreadId | undefined, at: number): Fact {
  const id = createHash('sha256').update(`${DELIVERED} ${event} ${user}`).digest('base64url').slice(0, 22) as EventId
  const data = JSON.stringify({ event, user })
  return { id, type: DELIVERED, at, ...(thread === undefined ? {} : { thread }), data }
}
