import { describePresence } from '../../presence/describe.ts'
import { parseThreadId } from '../../protocol/ids.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { presenceTopic } from '../../protocol/topic.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { ThreadPresence } from '../schemas.ts'

/** `GET /v1/threads/{thread}/presence`. */
export function threadPresenceCall({ presence }: ApiParts): Call {
  return {
    method: 'GET',
    path: '/v1/threads/:thread/presence',
    scope: 'presence',
    schema: describeCall(
      'Read who is in a thread',
      'Every user with a subscription, on any node. Above 500 members there is only the count.',
      undefined,
      ThreadPresence,
    ),
    async run({ site }, _body, { thread }) {
      const id = parseThreadId(thread)
      if (id === undefined) throw new Refusal('bad_id', 'the thread in the path')
      const [snapshot] = await presence.read([presenceTopic(site.id, id)])
      return describePresence(snapshot!)
    },
  }
}
