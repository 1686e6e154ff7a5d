interface Answer {
  /** Status on the HTTP port. */
  http: number
  /**
   * Close code on the WebSocket port, where the refusal ends the connection. 4401, 4403 and 4410 are final for a client,
   * the others mean: come back later (DESIGN §5).
   */
  close?: number
  /** What went wrong and what to do about it, for the person who reads the log. */
  says: string
}

/** The one list of refusals, for both ports. A code is never renamed and never used again for something else. */
export const CODES = {
  token_missing: { http: 401, close: 4401, says: 'no token was given; send one signed by your site' },
  token_malformed: { http: 401, close: 4401, says: 'the token is not a compact JWS (RFC 7515) with a JSON payload' },
  token_algorithm: {
    http: 401,
    close: 4401,
    says: "the token's alg does not fit the site's key; the key decides the algorithm",
  },
  token_key: {
    http: 401,
    close: 4401,
    says: "the token's kid names no key of the site; kid is required when the site has more than one key",
  },
  token_signature: {
    http: 401,
    close: 4401,
    says: "the signature does not verify with the site's key; check that origin and relay hold the same one",
  },
  token_expired: { http: 401, close: 4401, says: 'the token has expired; get a new one from your site' },
  token_not_yet: {
    http: 401,
    close: 4401,
    says: "the token's iat or nbf is more than 30 s ahead; check the clock of the server that signed it",
  },
  token_exp_missing: { http: 401, close: 4401, says: 'the token has no exp; set one' },
  token_exp_far: {
    http: 401,
    close: 4401,
    says: 'the token lives too long; exp may be 24 h ahead for a user, 1 h for a server',
  },
  token_audience: {
    http: 401,
    close: 4401,
    says: 'the token is for another purpose; aud is throughline for users, throughline:api for servers',
  },
  token_user: { http: 401, close: 4401, says: "the token's sub is not a user id: 1 to 128 of A-Z a-z 0-9 _ . : @ -" },
  token_claims: { http: 401, close: 4401, says: 'a claim of the token is ill-formed' },
  token_revoked: {
    http: 401,
    close: 4401,
    says: 'the site has revoked all tokens that the user had; get a new one from your site',
  },
  unknown_site: {
    http: 401,
    close: 4401,
    says: 'the relay knows no such site; add it to the site file or send its licence',
  },
  licence_malformed: {
    http: 401,
    close: 4401,
    says: 'the licence is not a JWT of typ licence+jwt with the claims that a licence has',
  },
  licence_signature: { http: 401, close: 4401, says: "the licence is not signed by this relay's operator" },
  licence_expired: { http: 401, close: 4401, says: 'the licence has expired; ask the operator for a new one' },
  licence_revoked: { http: 401, close: 4403, says: 'the licence has been revoked by the operator' },
  licence_site: { http: 401, close: 4401, says: "the licence is for another site than the token's iss" },
  origin_not_allowed: { http: 403, close: 4403, says: "this page's web origin is not in the site's origins" },
  scope_missing: { http: 403, says: "the server token's scope does not allow this call" },
  thread_not_allowed: { http: 403, says: 'the token does not name this thread' },
  thread_revoked: {
    http: 403,
    says: 'the site has taken the user out of this thread; a newer token or grant may allow it again',
  },
  permission_missing: { http: 403, says: 'the token names this thread without the permission that this needs' },
  type_not_allowed: { http: 403, says: 'clients of this site may not send events of this type' },
  rate_limited: { http: 429, says: 'too much at once; slow down' },
  connection_limit: { http: 429, close: 4429, says: 'as many connections as are allowed are open' },
  thread_limit: { http: 429, says: 'too many threads on one connection' },
  bad_frame: {
    http: 400,
    close: 4400,
    says: 'a frame is one JSON object in a text message, with a string op and, if any, an integer id',
  },
  bad_json: { http: 400, close: 4400, says: 'not well-formed JSON (RFC 8259) in UTF-8' },
  duplicate_key: { http: 400, close: 4400, says: 'a key stands twice in one object' },
  too_deep: { http: 400, close: 4400, says: 'nested too deeply: 32 levels outside data, 64 inside' },
  bad_field: { http: 422, says: 'a field is missing or not of its type' },
  bad_id: { http: 422, says: 'not an id: 1 to 128 of A-Z a-z 0-9 _ . : @ -, or an integer from 0 to 2^53-1' },
  bad_target: { http: 422, says: 'to names exactly one of thread, users (1 to 1,000) and site' },
  bad_chain: { http: 422, says: 'not a chain: thread:42, user:7 or site' },
  too_large: { http: 413, close: 4413, says: 'larger than the limit' },
  unknown_op: { http: 422, says: 'unknown op' },
  connect_first: { http: 401, close: 4401, says: 'the first frame must be connect' },
  connect_timeout: { http: 401, close: 4401, says: 'no connect within 10 s' },
  not_found: { http: 404, says: 'no such path, or nothing there; see /v1/openapi.json' },
  unsupported_media_type: { http: 415, says: 'send Content-Type: application/json' },
  bus_down: {
    http: 503,
    says: 'the relay cannot reach its bus; nothing was lost, send the same call again with the same id',
  },
  draining: { http: 503, close: 4503, says: 'this node is shutting down; connect to another' },
  internal: { http: 500, says: 'a fault of the relay; its log has more' },
} as const satisfies Record<string, Answer>

export type Code = keyof typeof CODES

/** The close code of a connection that its origin has ended. The reason is the origin's. */
export const DISCONNECTED = 4410
/** Closes a socket that has too much waiting for it; an `error` would only be one more frame to wait. */
export const TOO_SLOW = { close: 4408, reason: 'too slow' } as const
/** Closes a connection that goes on sending although it was told that it sends too much. */
export const TOO_MUCH = 4429

/** Every code that the relay closes with. */
export const CLOSE_CODES: ReadonlySet<number> = new Set([
  TOO_SLOW.close,
  DISCONNECTED,
  ...Object.values<Answer>(CODES).flatMap(({ close }) => (close === undefined ? [] : [close])),
])

/** Returns the close code that goes with a refusal, or undefined where it leaves the connection open. */
export function closeCode(code: Code): number | undefined {
  return (CODES[code] as Answer).close
}
