import type { ClientFrame } from '../protocol/decode.ts'
import type { Json, JsonObject } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { siteTopic, type Topic, userTopic } from '../protocol/topic.ts'
import type { UserIdentity } from '../trust/trust.ts'
import type { Connection } from './connection.ts'
import { idField, join, readSince } from './join.ts'
import type { Rest } from './ops.ts'
import type { Services } from './services.ts'

/** `connect`: says who the client is, and subscribes it to its own chain and the site's. The first frame, and only the first. */
export async function connect(connection: Connection, { id, fields }: ClientFrame, services: Services): Promise<Rest> {
  const { trust, hub } = services
  const since = readSince(fields.since)
  const identity = await trust.verifyUser(readToken(fields.token), readLicence(fields.licence))
  checkWebOrigin(identity, connection.webOrigin)
  const { site, user } = identity
  connection.seat.take(site, user)
  const own = userTopic(site.id, user)
  await hub.follow([own, siteTopic(site.id)])
  return () => welcome(connection, id, identity, own, since, services)
}

function welcome(
  connection: Connection,
  id: number | undefined,
  identity: UserIdentity,
  own: Topic,
  since: JsonObject,
  services: Services,
): void {
  const { hub, users, presence, heartbeat } = services
  const { site, user, expires } = identity
  // Only now: what is taken back from here on finds this connection among the user's.
  checkStillTrusted(identity, services, own)
  connection.authenticate(identity, own)
  users.add(connection)
  presence.connected(site.id, user)
  const chains = join(connection, [own, siteTopic(site.id)], since, services)
  // Nothing in it needs escaping (CONTRACT 15).
  connection.send(
    `{"op":"connected",${idField(id)}"connection":"${connection.id}","user":"${user}","site":"${site.id}",` +
      `"expires":${expires},"heartbeat":${heartbeat},"chains":${chains}}`,
  )
  if (!hub.busUp) connection.send('{"op":"status","bus":"down"}')
}

/** Throws a Refusal when a token, or the licence of its site, was revoked since it was verified or before. */
export function checkStillTrusted(
  { site, user, issuedAt, licence }: UserIdentity,
  { trust, hub }: Pick<Services, 'trust' | 'hub'>,
  own: Topic = userTopic(site.id, user),
): void {
  if (licence !== undefined && trust.isRevoked(licence.id))
    throw new Refusal('licence_revoked', undefined, { site: site.id })
  const revoked = hub.revocations(own)?.tokens ?? 0
  if (issuedAt <= revoked) throw new Refusal('token_revoked', undefined, { site: site.id })
}

export function readToken(value: Json | undefined): string {
  if (value === undefined || value === null) throw new Refusal('token_missing')
  if (typeof value !== 'string') throw new Refusal('token_malformed')
  return value
}

export function readLicence(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw new Refusal('licence_malformed')
  return value
}

/**
 * Throws a Refusal for a page elsewhere: one that got hold of a token must not use it from its visitors' browsers. What
 * sends no Origin is no browser, and could send any (CONTRACT 14).
 */
export function checkWebOrigin({ site }: UserIdentity, webOrigin: string | undefined): void {
  if (webOrigin === undefined || site.origins.has(webOrigin)) return
  throw new Refusal('origin_not_allowed', webOrigin, { site: site.id })
}
