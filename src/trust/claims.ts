import { SmallMap } from '../lib/small-map.ts'
import { parseThreadId, parseUserId, type ThreadId, type UserId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { permissionMask } from './permissions.ts'
import { type Fields, isFields } from './shape.ts'

/** What a server token may be limited to (CONTRACT 13). */
export type Scope = 'publish' | 'presence' | 'manage'

export interface UserClaims {
  readonly user: UserId
  /** Masks of READ, SEND and PRESENCE. */
  readonly threads: SmallMap<ThreadId>
  /** Whose online state may be watched: everybody's if true. */
  readonly watch: true | ReadonlySet<UserId> | undefined
  /** JSON that is shown in presence. */
  readonly info: string | undefined
  /** Seconds since the epoch, without a fraction, like `expires`. */
  readonly issuedAt: number
  readonly expires: number
}

export interface ServerClaims {
  readonly scopes: ReadonlySet<Scope> | undefined
  readonly expires: number
}

/** How far the clocks of those who sign and of those who verify may be apart. */
export const LEEWAY_SECONDS = 30

const USER_SECONDS = 24 * 60 * 60
const SERVER_SECONDS = 60 * 60
const MAX_INFO_BYTES = 1024
const SCOPES: ReadonlySet<string> = new Set(['publish', 'presence', 'manage'] satisfies Scope[])

/** Returns what a user token says, from a payload that was verified. Throws a Refusal for the first claim that is wrong. */
export function readUserClaims(payload: Fields, nowMs: number): UserClaims {
  return readClaims(payload, nowMs, 'throughline', true)
}

/** The same for a grant. */
export function readGrantClaims(payload: Fields, nowMs: number): UserClaims {
  return readClaims(payload, nowMs, 'throughline:grant', false)
}

/** Returns what a server token says, from a payload that was verified. Throws a Refusal for the first claim that is wrong. */
export function readServerClaims(payload: Fields, nowMs: number): ServerClaims {
  checkAudience(payload['aud'], 'throughline:api')
  const { expires } = readTimes(payload, nowMs / 1000, SERVER_SECONDS)
  return { scopes: readScopes(payload['scope']), expires }
}

/** A grant says nothing of the user: only a token is `ofUser`. */
function readClaims(payload: Fields, nowMs: number, audience: string, ofUser: boolean): UserClaims {
  checkAudience(payload['aud'], audience)
  const { expires, issuedAt } = readTimes(payload, nowMs / 1000, USER_SECONDS)
  if (issuedAt === undefined) throw new Refusal('token_claims', 'iat is missing')
  const user = parseUserId(payload['sub'])
  if (user === undefined) throw new Refusal('token_user')
  const threads = readThreads(payload['threads'])
  const watch = ofUser ? readWatch(payload['watch']) : undefined
  const info = ofUser ? readInfo(payload['info']) : undefined
  return { user, threads, watch, info, issuedAt, expires }
}

/** Tells whether a token or licence with this `exp` is too old, the leeway included. */
export function hasExpired(expires: number, nowMs: number): boolean {
  return nowMs / 1000 >= expires + LEEWAY_SECONDS
}

function checkAudience(value: unknown, audience: string): void {
  if (value !== audience && !(Array.isArray(value) && value.includes(audience))) {
    throw new Refusal('token_audience', `${audience} was expected`)
  }
}

/** A fraction, which RFC 7519 allows, is checked but not kept: earlier is the safe side for both. */
function readTimes(payload: Fields, now: number, lifetime: number): { expires: number; issuedAt: number | undefined } {
  if (payload['exp'] === undefined) throw new Refusal('token_exp_missing')
  const expires = readTime(payload, 'exp') ?? 0
  if (hasExpired(expires, now * 1000)) throw new Refusal('token_expired')
  if (expires > now + lifetime + LEEWAY_SECONDS) throw new Refusal('token_exp_far')
  const issuedAt = readTime(payload, 'iat')
  const notBefore = readTime(payload, 'nbf')
  if (Math.max(issuedAt ?? 0, notBefore ?? 0) > now + LEEWAY_SECONDS) throw new Refusal('token_not_yet')
  return { expires: Math.floor(expires), issuedAt: issuedAt === undefined ? undefined : Math.floor(issuedAt) }
}

function readTime(payload: Fields, claim: string): number | undefined {
  const value = payload[claim]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new Refusal('token_claims', `${claim} is not a number`)
  return value
}

function readThreads(value: unknown): SmallMap<ThreadId> {
  const threads = new SmallMap<ThreadId>()
  // PHP's json_encode writes an empty map as a list.
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return threads
  if (!isFields(value)) throw new Refusal('token_claims', 'threads is not an object of thread ids and lists of words')
  for (const id of Object.keys(value)) {
    const thread = parseThreadId(id)
    const mask = permissionMask(value[id])
    if (thread === undefined) throw new Refusal('token_claims', 'threads has a key that is not a thread id')
    if (mask === undefined) throw new Refusal('token_claims', `threads has no list of words for ${thread}`)
    threads.set(thread, mask)
  }
  return threads
}

function readWatch(value: unknown): true | ReadonlySet<UserId> | undefined {
  if (value === undefined || value === true) return value
  const users = Array.isArray(value) ? value.map(parseUserId) : [undefined]
  if (users.includes(undefined)) throw new Refusal('token_claims', 'watch is neither true nor a list of user ids')
  return new Set(users as UserId[])
}

function readInfo(value: unknown): string | undefined {
  if (value === undefined) return undefined
  const info = serialise(value)
  if (info !== undefined && Buffer.byteLength(info) <= MAX_INFO_BYTES) return info
  throw new Refusal('token_claims', `info is larger than ${MAX_INFO_BYTES} bytes of JSON`)
}

function serialise(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    // JSON.parse reads any depth, JSON.stringify overflows the stack: thousands of levels are no 1 KiB.
    return undefined
  }
}

function readScopes(value: unknown): ReadonlySet<Scope> | undefined {
  if (value === undefined) return undefined
  const words: unknown[] | undefined =
    typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : undefined
  if (words?.every(word => typeof word === 'string') !== true) {
    throw new Refusal('token_claims', 'scope is neither a string nor a list of strings')
  }
  return new Set(words.filter((word): word is Scope => SCOPES.has(word)))
}
