import { parseUserId, type UserId } from '../../protocol/ids.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { type Site, type IceServer, iceServers } from '../../trust/trust.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { Ice, User } from '../schemas.ts'

/** `GET /v1/ice` for origins; browsers' own is browser.ts. Whom it is for the origin knows, so only what acts for users may ask. */
export function iceCall(parts: ApiParts): Call {
  return {
    method: 'GET',
    path: '/v1/ice',
    scope: 'manage',
    schema: describeCall(
      'Get STUN and TURN servers for a user',
      'With credentials that end by themselves. Browsers get theirs on the WebSocket port, with their user token.',
      undefined,
      Ice,
      User,
    ),
    async run({ site }, _body, _path, query) {
      const user = parseUserId(query.get('user') ?? undefined)
      if (user === undefined) throw new Refusal('bad_id', 'the user in the query: ?user=7')
      return answerIce(parts, site, user)
    },
  }
}

/** Returns the answer to who may have it. Throws a Refusal where there are no servers. */
export function answerIce(
  { ice: fallback, clock }: Pick<ApiParts, 'ice' | 'clock'>,
  site: Site,
  user: UserId,
): { iceServers: IceServer[]; ttl: number } {
  const ice = site.ice ?? fallback
  if (ice === undefined) {
    throw new Refusal(
      'not_found',
      "no ICE servers are configured: set THROUGHLINE_ICE, or the site's ice in the site file",
    )
  }
  return { iceServers: iceServers(ice, site, user, clock.now()), ttl: ice.ttl }
}
