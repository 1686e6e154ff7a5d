import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { readChains } from '../chains.ts'
import { describeCall } from '../describe.ts'
import { Chains, Done } from '../schemas.ts'

/** `POST /v1/gaps`. */
export function gapsCall({ hub }: ApiParts): Call {
  return {
    path: '/v1/gaps',
    scope: 'publish',
    schema: describeCall(
      'Tell the clients of up to 1,000 chains to ask',
      'For an origin that has lost what it had still to publish. Clients that are away are told when they come back.',
      Chains,
      Done,
    ),
    async run({ site }, body) {
      await hub.askAll([...readChains(site.id, body).values()])
      return {}
    },
  }
}
