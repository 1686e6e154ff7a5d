import type { ThreadId } from '../protocol/ids.ts'
import type { Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

/** What a grant allows in one thread. */
export interface Grant {
  readonly permissions: number
  /** Seconds since the epoch, like `expires`. */
  readonly issuedAt: number
  readonly expires: number
}

/**
 * Adds what a grant allows to what a connection may do (DESIGN §4). Returns what is wrong with the grant, if anything: it
 * ends no connection that is already open.
 */
export async function takeGrant(connection: Connection, text: Json, { trust }: Services): Promise<Refusal | undefined> {
  const { site, user, licence } = connection.identity!
  try {
    if (typeof text !== 'string') throw new Refusal('token_malformed', 'grant is not a string')
    const grant = await trust.verifyGrant(text, licence)
    if (grant.user !== user || grant.site.id !== site.id) {
      throw new Refusal('token_user', "the grant is another user's than this connection")
    }
    const { issuedAt, expires } = grant
    connection.takeGrants(
      [...grant.threads].map(([thread, permissions]) => [thread, { permissions, issuedAt, expires }]),
    )
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

/** Returns grants that still count at `now`, in seconds; undefined when there are none. */
export function unexpired(grants: ReadonlyMap<ThreadId, Grant>, now: number): Map<ThreadId, Grant> | undefined {
  const left = new Map([...grants].filter(([, { expires }]) => expires > now))
  return left.size === 0 ? undefined : left
}
