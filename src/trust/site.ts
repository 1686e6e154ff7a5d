import type { SiteId } from '../protocol/ids.ts'
import { checkCallback, checkTypes } from './callback.ts'
import { type Key, KINDS, readKeys } from './keys.ts'
import { found, readFields, readList } from './shape.ts'
import { Wrong } from './wrong.ts'

/** One tenant, as the site file or its licence describes it. */
export interface Site {
  readonly id: SiteId
  /** Serialised web origins whose pages may connect, compared exactly (CONTRACT 14). */
  readonly origins: ReadonlySet<string>
  readonly limits: SiteLimits
  readonly keys: readonly Key[]
}

export interface SiteLimits {
  /** The largest frame that a client may send. */
  readonly frameBytes: number
  /** The largest `data` of an origin's event. */
  readonly dataBytes: number
  /** Threads on one connection. */
  readonly threads: number
}

/** Who wrote it: a licence passes through browsers and may hold no secret. */
export type Source = 'siteFile' | 'licence'

const MAX_DATA_BYTES = 1024 * 1024
// The gateway's cap on any frame is twice this (CONTRACT 24).
const MAX_FRAME_BYTES = 128 * 1024
const DEFAULT_BYTES = 64 * 1024
const DEFAULT_THREADS = 1000

const LIMITS = [
  'connections',
  'connections_per_user',
  'threads',
  'frames_per_second',
  'frames_burst',
  'frame_bytes',
  'data_bytes',
  'publishes_per_second',
  'deliveries_per_second',
  'send_per_second',
  'backpressure_bytes',
]

/** Returns the site that a `site` object describes. Throws Wrong for the first fault in any of its fields. */
export async function readSite(id: SiteId, value: unknown, where: string, source: Source): Promise<Site> {
  const fields = readFields(value, where, ['keys', 'origins', 'callback', 'limits', 'types'])
  const origins = readOrigins(fields['origins'], `${where}.origins`)
  const limits = readLimits(fields['limits'] ?? {}, `${where}.limits`)
  if (fields['callback'] !== undefined) checkCallback(fields['callback'], `${where}.callback`, source === 'siteFile')
  if (fields['types'] !== undefined) checkTypes(fields['types'], `${where}.types`)
  return { id, origins, limits, keys: await readKeys(fields['keys'], `${where}.keys`, KINDS[source]) }
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

function readLimits(value: unknown, where: string): SiteLimits {
  const fields = readFields(value, where, LIMITS)
  for (const [name, limit] of Object.entries(fields)) {
    if (!Number.isSafeInteger(limit) || (limit as number) < 1) {
      throw new Wrong(`${where}.${name}`, `expected a positive integer, found ${found(limit)}`)
    }
  }
  const limit = (name: string, fallback: number, most = Number.MAX_SAFE_INTEGER): number => {
    const given = (fields[name] as number | undefined) ?? fallback
    if (given > most) throw new Wrong(`${where}.${name}`, `expected at most ${most}, found ${given}`)
    return given
  }
  return {
    frameBytes: limit('frame_bytes', DEFAULT_BYTES, MAX_FRAME_BYTES),
    dataBytes: limit('data_bytes', DEFAULT_BYTES, MAX_DATA_BYTES),
    threads: limit('threads', DEFAULT_THREADS),
  }
}
