import type { HttpRequest } from '../protocol/http.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Scope, ServerIdentity, Trust } from '../trust/trust.ts'

const BEARER = /^bearer +/i

/** Returns the origin that a request comes from, if its server token allows this kind of call. Rejects with a Refusal. */
export async function authenticate(
  trust: Trust,
  headers: HttpRequest['headers'],
  scope: Scope,
): Promise<ServerIdentity> {
  const identity = await trust.verifyServer(bearerOf(headers, 'server'), headers['throughline-licence'])
  requireScope(identity, scope)
  return identity
}

/** Returns the token that a request came with (RFC 6750 §2.1). Throws a Refusal. */
export function bearerOf({ authorization }: HttpRequest['headers'], whose: 'server' | 'user'): string {
  const hint = `send Authorization: Bearer <${whose} token>`
  if (authorization === undefined) throw new Refusal('token_missing', hint)
  const scheme = BEARER.exec(authorization)?.[0]
  if (scheme === undefined) throw new Refusal('token_malformed', hint)
  return authorization.slice(scheme.length)
}

/** Throws a Refusal when an origin's token does not allow this kind of call. */
export function requireScope({ site, scopes }: ServerIdentity, scope: Scope): void {
  if (scopes !== undefined && !scopes.has(scope)) throw new Refusal('scope_missing', scope, { site: site.id })
}
