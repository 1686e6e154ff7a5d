import { parseUserId } from '../../protocol/ids.ts'
import { type JsonObject, parseJson } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { userTopic } from '../../protocol/topic.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readOnly } from '../fields.ts'
import { Disconnect, Done } from '../schemas.ts'

// What a close frame has room for (RFC 6455 §5.5).
const REASON_BYTES = 123

/** `POST /v1/users/{user}/disconnect`. */
export function disconnectCall({ hub }: ApiParts): Call {
  return {
    path: '/v1/users/:user/disconnect',
    scope: 'manage',
    bodyOptional: true,
    schema: describeCall(
      'End all connections of a user',
      'With `revoke` the tokens that the user has until now count no longer, on no node.',
      Disconnect,
      Done,
    ),
    async run({ site }, body, { user }) {
      const id = parseUserId(user)
      if (id === undefined) throw new Refusal('bad_id', 'the user in the path')
      const fields = body.length === 0 ? {} : readOnly(parseJson(body, 'batch'), ['revoke', 'reason'])
      const notice = { kind: 'disconnect', revoke: readRevoke(fields), reason: readReason(fields) } as const
      await hub.notify(new Map([[userTopic(site.id, id), notice]]))
      return {}
    },
  }
}

function readRevoke({ revoke }: JsonObject): boolean {
  if (revoke !== undefined && typeof revoke !== 'boolean') {
    throw new Refusal('bad_field', 'true or false', { pointer: '/revoke' })
  }
  return revoke === true
}

function readReason({ reason }: JsonObject): string {
  if (reason === undefined) return 'disconnected'
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > REASON_BYTES) {
    throw new Refusal('bad_field', `text of at most ${REASON_BYTES} bytes`, { pointer: '/reason' })
  }
  return reason
}
