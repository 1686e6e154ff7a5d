import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { readChains } from '../chains.ts'
import { describeCall } from '../describe.ts'
import { Chains, Heads } from '../schemas.ts'

/** `POST /v1/heads`. */
export function headsCall({ hub }: ApiParts): Call {
  return {
    path: '/v1/heads',
    scope: 'publish',
    schema: describeCall(
      'Read the heads of up to 1,000 chains',
      'A page that was rendered from what the origin read after this answer may use the heads as `since`.',
      Chains,
      Heads,
    ),
    async run({ site }, body) {
      const chains = readChains(site.id, body)
      const heads = await hub.heads([...chains.values()])
      return { heads: Object.fromEntries([...chains.keys()].map((name, i) => [name, heads[i]])) }
    },
  }
}
