import type { Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

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
    const all = new Map(connection.grants)
    for (const [thread, permissions] of grant.threads) all.set(thread, { permissions, issuedAt, expires })
    if (all.size > site.limits.threads) throw new Refusal('thread_limit', 'in grants')
    connection.grants = all
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
