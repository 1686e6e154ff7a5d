import { AddressGuard } from '../../callbacks/address-guard.ts'
import { diagnose } from '../../callbacks/diagnose/diagnose.ts'
import type { SiteId } from '../../protocol/ids.ts'
import { parseJson } from '../../protocol/raw-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import type { ApiParts } from '../api.ts'
import type { Call } from '../call.ts'
import { describeCall } from '../describe.ts'
import { readOnly } from '../fields.ts'
import { CallbackDiagnosis, Done } from '../schemas.ts'

/** Milliseconds, as for any callback (CONTRACT 34). */
const TIMEOUT = 15_000

/** `POST /v1/callbacks/test`. */
export function callbackTestCall({ callbackKeys, poster, callbackAllow, clock }: ApiParts): Call {
  const options = { guard: new AddressGuard(callbackAllow), poster, clock, timeoutMs: TIMEOUT }
  // A test holds connections open for up to a minute, so a site has one at a time.
  const running = new Set<SiteId>()
  return {
    path: '/v1/callbacks/test',
    scope: 'manage',
    bodyOptional: true,
    schema: describeCall(
      "Call the site's callback URL and say what happened",
      'Sends a signed ping, step by step. Takes up to a minute if the site is slow.',
      Done,
      CallbackDiagnosis,
    ),
    async run({ site: { id, callback } }, body) {
      if (body.length > 0) readOnly(parseJson(body, 'batch'), [])
      if (callback === undefined) {
        throw new Refusal('not_found', 'the site has no callback: set callback.url in the site file or in the licence')
      }
      if (running.has(id)) throw new Refusal('rate_limited', 'a test of this site is under way', { retryAfter: 5 })
      running.add(id)
      try {
        const signer = { secrets: callback.secrets, key: await callbackKeys.signing() }
        return await diagnose({ url: callback.url, site: id, signer }, options)
      } finally {
        running.delete(id)
      }
    },
  }
}
