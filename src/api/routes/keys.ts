import type { HttpAnswer } from '../../protocol/http.ts'
import type { ApiParts } from '../api.ts'
import { JSON_TYPE, refuse } from '../call.ts'
import { describeCall } from '../describe.ts'
import { PublicKeys } from '../schemas.ts'

export const KEYS_PATH = '/v1/keys'

/** What is in it is public, so it asks for no token. */
export const KEYS_SCHEMA = {
  ...describeCall(
    'Get the keys that callbacks are signed with',
    'Public, without a token. The newest comes first; one that is no longer in use stays for 7 days.',
    undefined,
    PublicKeys,
  ),
  security: [],
}

/** `GET /v1/keys`. Never rejects. */
export async function answerKeys(parts: ApiParts): Promise<HttpAnswer> {
  try {
    return { status: 200, headers: JSON_TYPE, body: JSON.stringify(await parts.callbackKeys.published()) }
  } catch (error) {
    return refuse(error, KEYS_PATH, parts)
  }
}
