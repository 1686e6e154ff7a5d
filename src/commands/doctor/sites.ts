import { readFileSync, statSync } from 'node:fs'
import type { Config } from '../../config/schema.ts'
import type { Clock } from '../../lib/clock.ts'
import { openTrust, readNodeIce, readNodeLimits } from '../../trust/trust.ts'
import { type Jwk, parseObject } from '../jwk.ts'
import { found, ok, type Patient, type Result } from './check.ts'

/** A site as its file has it, after that was found to be right. */
export interface SiteEntry {
  readonly keys: readonly Jwk[]
  readonly origins: readonly string[]
  readonly callback?: { readonly url: string }
}

/** A random secret of 32 bytes has some 30 different ones; text and repetition have fewer. */
const LEAST_VARIETY = 16

export type SiteEntries = ReadonlyMap<string, SiteEntry>

/** Looks for what a node would accept and should not be so. */
export async function sites({ config, sites }: Patient): Promise<readonly Result[]> {
  await readNodeIce(config.ice)
  const entries = await sites()
  const { sites: path, operatorJwks } = config
  const operator = operatorKeys(operatorJwks)
  return [
    ...(path === undefined ? [] : [counted(path, entries), ...readable(path, entries)]),
    ...(operatorJwks === undefined
      ? []
      : [ok(`licences are verified with ${plural(operator.length, 'operator key')}`)]),
    ...shared(entries, operator),
    ...[...entries].flatMap(([id, entry]) => weak(id, entry)),
    ...[...entries].flatMap(([id, entry]) => plain(id, entry)),
  ]
}

/**
 * Reads all that a node reads at its start about sites, and returns the sites of the site file, none without one. Rejects
 * with a TrustConfigError when a node would not start.
 */
export async function readSiteEntries(config: Config, clock: Clock): Promise<SiteEntries> {
  const { caps } = await readNodeLimits(config.limits)
  const { sites: path, operatorJwks, revoked } = config
  const trust = await openTrust({
    caps,
    clock,
    warn: () => {},
    ...(path === undefined ? {} : { sites: path }),
    ...(operatorJwks === undefined ? {} : { operatorJwks }),
    ...(revoked === undefined ? {} : { revoked }),
  })
  trust.close()
  const read = path === undefined ? {} : (parseObject(readFileSync(path, 'utf8')) ?? {})
  return new Map(Object.entries(read as Record<string, SiteEntry>))
}

function operatorKeys(given: string | undefined): readonly Jwk[] {
  if (given === undefined) return []
  const read = parseObject(given.trimStart().startsWith('{') ? given : readFileSync(given, 'utf8')) ?? {}
  return (Object.hasOwn(read, 'keys') ? read['keys'] : [read]) as readonly Jwk[]
}

function counted(path: string, entries: SiteEntries): Result {
  if (entries.size === 0) return found('sites_none', `${path} has no site`)
  const callbacks = [...entries.values()].filter(({ callback }) => callback !== undefined).length
  return ok(`${path} has ${plural(entries.size, 'site')}, ${callbacks} with a callback`)
}

function readable(path: string, entries: SiteEntries): Result[] {
  const secret = [...entries.values()].some(({ keys }) => keys.some(({ kty }) => kty === 'oct'))
  return secret && (statSync(path).mode & 0o004) !== 0
    ? [found('sites_readable', `${path} can be read by every user of this machine`)]
    : []
}

/** Finds keys that stand in two places. */
function shared(entries: SiteEntries, operator: readonly Jwk[]): Result[] {
  const owners = new Map(operator.map(key => [material(key), 'the operator']))
  const results: Result[] = []
  for (const [id, { keys }] of entries) {
    for (const key of keys) {
      const other = owners.get(material(key))
      if (other === undefined) owners.set(material(key), id)
      else if (other === id) results.push(found('key_shared', `${id} has the same key twice (kid ${key.kid})`))
      else results.push(found('key_shared', `${id} has a key of ${other} (kid ${key.kid ?? 'none'})`))
    }
  }
  return results
}

function material({ k, x, y }: Jwk): string {
  return [k, x, y].join(' ')
}

function weak(id: string, { keys }: SiteEntry): Result[] {
  return keys
    .filter(({ k }) => k !== undefined && new Set(Buffer.from(k, 'base64url')).size < LEAST_VARIETY)
    .map(({ kid }) => found('key_guessable', `the secret of ${id} (kid ${kid ?? 'none'}) was not made by chance`))
}

function plain(id: string, { origins, callback }: SiteEntry): Result[] {
  const here = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|$)/
  const results = origins
    .filter(origin => origin === 'null' || (origin.startsWith('http:') && !here.test(origin)))
    .map(origin => found('origin_plain', `${id} lets pages of ${origin} connect, which anybody between can pose as`))
  if (callback?.url.startsWith('http:') === true) {
    results.push(found('callback_plain', `the callback of ${id} goes to ${new URL(callback.url).origin}`))
  }
  return results
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
