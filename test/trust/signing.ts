import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Refusal } from '../../src/protocol/refusal.ts'
import type { Caps } from '../../src/trust/site-limits.ts'
import { openTrust, type Trust } from '../../src/trust/trust.ts'
import type { LicenceShare } from '../../src/trust/newest.ts'

/** The time of these tests, in seconds. */
export const NOW = 1_800_000_000

export type Claims = Record<string, unknown>

/** A key pair or secret that signs with node:crypto, so that jose does not judge its own work. */
export interface Signer {
  readonly alg: string
  /** What the relay is given. */
  readonly jwk: Claims
  readonly sign: (input: string) => Buffer
}

export function hs256(kid?: string, secret = randomBytes(32)): Signer {
  const jwk = { kty: 'oct', k: secret.toString('base64url'), ...(kid === undefined ? {} : { kid }) }
  return { alg: 'HS256', jwk, sign: input => createHmac('sha256', secret).update(input).digest() }
}

export function eddsa(kid?: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = { ...publicKey.export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }) }
  return { alg: 'EdDSA', jwk, sign: input => sign(null, Buffer.from(input), privateKey) }
}

export function es256(kid?: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }) }
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return { alg: 'ES256', jwk, sign: input => sign('sha256', Buffer.from(input), key) }
}

/** Returns a signed token. The payload may be JSON text, for what JSON.stringify would not write. */
export function token(signer: Signer, payload: Claims | string, header: Claims = {}): string {
  const { kid } = signer.jwk
  const head = { alg: signer.alg, ...(kid === undefined ? {} : { kid }), ...header }
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const input = `${base64url(JSON.stringify(head))}.${base64url(body)}`
  return `${input}.${signer.sign(input).toString('base64url')}`
}

export const base64url = (text: string): string => Buffer.from(text).toString('base64url')

/** Returns the claims of a good user token, with changes; `undefined` leaves a claim out. */
export function user(changes: Claims = {}): Claims {
  return { iss: 'acme', aud: 'throughline', sub: '7', iat: NOW, exp: NOW + 600, ...changes }
}

export function server(changes: Claims = {}): Claims {
  return { iss: 'acme', aud: 'throughline:api', exp: NOW + 600, ...changes }
}

export function licence(operator: Signer, claims: Claims, header: Claims = { typ: 'licence+jwt' }): string {
  return token(operator, { iss: 'operator', iat: NOW, exp: NOW + 86_400, jti: 'lic-1', ...claims }, header)
}

export const site = (...signers: Signer[]): Claims => ({ keys: signers.map(({ jwk }) => jwk), origins: [] })

export interface Setup {
  sites?: unknown
  operator?: unknown
  revoked?: unknown
  reloadMs?: number
  caps?: Caps
  share?: LicenceShare
}

export interface Opened {
  readonly trust: Trust
  /** Seconds, to be set. */
  readonly clock: { seconds: number; now(): number }
  readonly warnings: string[]
  /** Replaces a file in one step; a string is written as it is. */
  readonly write: (name: 'sites' | 'revoked', content: unknown) => void
}

/** Opens trust on files with these contents, at NOW. Closed when the test ends. */
export async function open(
  t: Test,
  { sites, operator, revoked, reloadMs = 5, caps = {}, share }: Setup,
): Promise<Opened> {
  const folder = t.testdir()
  const path = (name: string): string => join(folder, `${name}.json`)
  const write = (name: string, content: unknown): void =>
    replaceFile(path(name), typeof content === 'string' ? content : JSON.stringify(content))
  const clock = { seconds: NOW, now: () => clock.seconds * 1000 }
  const warnings: string[] = []
  if (sites !== undefined) write('sites', sites)
  if (revoked !== undefined) write('revoked', revoked)
  const trust = await openTrust({
    ...(sites === undefined ? {} : { sites: path('sites') }),
    ...(operator === undefined ? {} : { operatorJwks: JSON.stringify(operator) }),
    ...(revoked === undefined ? {} : { revoked: path('revoked') }),
    caps,
    ...(share === undefined ? {} : { share }),
    clock,
    warn: message => warnings.push(message),
    reloadMs,
  })
  t.teardown(() => trust.close())
  return { trust, clock, warnings, write }
}

/** Writes a file so that no reader sees it half written. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** Returns the refusal that `attempt` ends with; anything else fails the test. */
export async function refusal(attempt: Promise<unknown>): Promise<Refusal> {
  try {
    await attempt
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('was accepted, a refusal was expected')
}
