/**
 * What may be an id (DESIGN §1, CONTRACT 15). The brands let the compiler tell a thread from a user: a string from
 * outside becomes one of them here or not at all.
 */
declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

export type SiteId = Brand<string, 'SiteId'>
export type UserId = Brand<string, 'UserId'>
export type ThreadId = Brand<string, 'ThreadId'>
export type EventId = Brand<string, 'EventId'>
export type EventType = Brand<string, 'EventType'>
export type ConnectionId = Brand<string, 'ConnectionId'>

const SITE = /^[a-z0-9][a-z0-9-]{0,62}$/
// A path of dots alone would be read as "this folder" by too many tools, hence at least one other character.
const ID = /^(?=.*[^.])[A-Za-z0-9_.:@-]{1,128}$/
const TYPE = /^[A-Za-z0-9_.:-]{1,64}$/

export function parseSiteId(value: unknown): SiteId | undefined {
  return typeof value === 'string' && SITE.test(value) ? (value as SiteId) : undefined
}

export const parseUserId = (value: unknown): UserId | undefined => parseId(value) as UserId | undefined
export const parseThreadId = (value: unknown): ThreadId | undefined => parseId(value) as ThreadId | undefined
export const parseEventId = (value: unknown): EventId | undefined => parseId(value) as EventId | undefined
export const parseConnectionId = (value: unknown): ConnectionId | undefined =>
  parseId(value) as ConnectionId | undefined

export function parseEventType(value: unknown): EventType | undefined {
  return typeof value === 'string' && TYPE.test(value) ? (value as EventType) : undefined
}

/** An integer from 0 to 2^53−1 stands for its decimal string. */
function parseId(value: unknown): string | undefined {
  if (typeof value === 'string') return ID.test(value) && value !== '__proto__' ? value : undefined
  return isCount(value) ? String(value) : undefined
}

/** Tells whether `value` is an integer from 0 to 2^53−1; `-0` is not. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0)
}
