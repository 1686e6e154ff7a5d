import type { SiteId } from '../protocol/ids.ts'
import { type Callback, readCallback } from './callback.ts'
import { type Ice, readIce } from './ice.ts'
import { type Key, KINDS, readKeys } from './keys.ts'
import { found, readFields, readList } from './shape.ts'
import { type Caps, readSiteLimits, type SiteLimits } from './site-limits.ts'
import { readTypes, type TypeList } from './types.ts'
import { Wrong } from './wrong.ts'

/** One tenant, as the site file or its licence describes it. */
export interface Site {
  readonly id: SiteId
  /** Serialised web origins whose pages may connect, compared exactly (CONTRACT 14). */
  readonly origins: ReadonlySet<string>
  readonly limits: SiteLimits
  /** What clients may send. */
  readonly types: TypeList
  /** Its own STUN and TURN servers. */
  readonly ice: Ice | undefined
  readonly callback: Callback | undefined
  readonly keys: readonly Key[]
}

/** Who wrote it: a licence passes through browsers and may hold no secret. */
export type Source = 'siteFile' | 'licence'

/** What clients may send unless the site says otherwise: a client can never pose as the origin. */
const CLIENT_TYPES = ['typing', 'read', 'call.*', 'signal.*']

/** Returns the site that a `site` object describes. Throws Wrong for the first fault in any of its fields. */
export async function readSite(id: SiteId, value: unknown, where: string, source: Source, caps?: Caps): Promise<Site> {
  const fields = readFields(value, where, ['keys', 'origins', 'callback', 'limits', 'types', 'ice'])
  const origins = readOrigins(fields['origins'], `${where}.origins`)
  const limits = readSiteLimits(fields['limits'] ?? {}, `${where}.limits`, caps)
  const callback = readSiteCallback(fields['callback'], `${where}.callback`, source)
  const types = readTypes(fields['types'] ?? CLIENT_TYPES, `${where}.types`)
  const ice = readSiteIce(fields['ice'], `${where}.ice`, source)
  return {
    id,
    origins,
    limits,
    types,
    ice,
    callback,
    keys: await readKeys(fields['keys'], `${where}.keys`, KINDS[source]),
  }
}

function readSiteCallback(value: unknown, where: string, source: Source): Callback | undefined {
  return value === undefined ? undefined : readCallback(value, where, source === 'siteFile')
}

function readSiteIce(value: unknown, where: string, source: Source): Ice | undefined {
  if (value === undefined) return undefined
  if (source === 'licence') throw new Wrong(where, 'expected only in the site file, since it holds a secret')
  return readIce(value, where)
}

function readOrigins(value: unknown, where: string): ReadonlySet<string> {
  const origins = new Set<string>()
  for (const [index, origin] of readList(value, where).entries()) origins.add(readOrigin(origin, `${where}[${index}]`))
  return origins
}

/**
 * Returns a web origin that is written as browsers serialise it (RFC 6454 §6.2). One written in another way would never
 * be equal to an Origin header, so say at once what to write instead.
 */
function readOrigin(value: unknown, where: string): string {
  const example = 'expected an origin such as https://example.com'
  if (typeof value !== 'string') throw new Wrong(where, `${example}, found ${found(value)}`)
  if (value === 'null') return value
  if (value.includes('*')) throw new Wrong(where, `${example}, found a wildcard; list each origin`)
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Wrong(where, `${example}, found something that does not begin with https:// or http:// and a host`)
  }
  if (url.origin !== value) throw new Wrong(where, `expected an origin as browsers send it; write ${url.origin}`)
  return value
}
