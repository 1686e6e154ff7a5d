import { createHmac } from 'node:crypto'

/** A shared secret as it stands in the relay's site file. */
export interface SecretKey {
  readonly kty: 'oct'
  readonly alg: 'HS256'
  readonly kid: string
  /** The secret, as base64url. */
  readonly k: string
}

const HOUR = 3600

/** Returns the token that lets a user's page connect to the relay, take part in these threads, and see who is online. */
export function userToken(site: string, user: string, threads: readonly string[], key: SecretKey): string {
  const permissions = Object.fromEntries(threads.map(thread => [thread, ['read', 'send']]))
  return sign({ iss: site, aud: 'throughline', sub: user, ...lifetime(HOUR), threads: permissions, watch: true }, key)
}

/** Returns the token with which the origin itself calls the relay. It never leaves the server. */
export function serverToken(site: string, key: SecretKey): string {
  return sign({ iss: site, aud: 'throughline:api', ...lifetime(HOUR / 12), scope: 'publish' }, key)
}

/** Returns a JSON Web Token (RFC 7519). This is all there is to it: two pieces of JSON and an HMAC over them. */
function sign(claims: object, key: SecretKey): string {
  const signed = `${base64url({ alg: key.alg, typ: 'JWT', kid: key.kid })}.${base64url(claims)}`
  const hmac = createHmac('sha256', Buffer.from(key.k, 'base64url')).update(signed)
  return `${signed}.${hmac.digest('base64url')}`
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function lifetime(seconds: number): { iat: number; exp: number } {
  const iat = Math.floor(Date.now() / 1000)
  return { iat, exp: iat + seconds }
}
