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
  const { authorization } = headers
  if (authorization === undefined) throw new Refusal('token_missing', 'send Authorization: Bearer <server token>')
  const scheme = BEARER.exec(authorization)?.[0]
  if (scheme === undefined) throw new Refusal('token_malformed', 'send Authorization: Bearer <server token>')
  const identity = await trust.verifyServer(authorization.slice(scheme.length), headers['throughline-licence'])
  requireScope(identity, scope)
  return identity
}

/** Throws a Refusal when an origin's token does not allow this kind of call. */
export function requireScope({ scopes }: ServerIdentity, scope: Scope): void {
  if (scopes !== undefined && !scopes.has(scope)) throw new Refusal('scope_missing', scope)
}
