import type { ClientFrame } from '../protocol/decode.ts'
import { Refusal } from '../protocol/refusal.ts'
import { leaveForbidden } from './access.ts'
import { checkStillTrusted, readLicence, readToken } from './connect.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

/** `refresh`: goes on with another token of the same user. Threads that it no longer names are left (CONTRACT 12). */
export async function refresh(connection: Connection, { id, fields }: ClientFrame, services: Services): Promise<void> {
  const before = connection.identity!
  const identity = await services.trust.verifyUser(
    readToken(fields.token),
    readLicence(fields.licence) ?? before.licence,
  )
  if (identity.user !== before.user || identity.site.id !== before.site.id) {
    throw new Refusal('token_user', "it is another user's than this connection")
  }
  if (connection.closed) return
  checkStillTrusted(identity, services)
  connection.authenticate(identity, connection.userTopic!)
  connection.send({ op: 'refreshed', id, expires: identity.expires })
  leaveForbidden(connection)
}
