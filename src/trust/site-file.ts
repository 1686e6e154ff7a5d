import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { found, readJson, readList, readObject } from './shape.ts'
import { readSite, type Site } from './site.ts'
import type { Caps } from './site-limits.ts'
import { Wrong } from './wrong.ts'

/** Returns the sites of a site file: `{"acme": {…}, …}`. Throws Wrong, naming site and field. */
export async function readSites(bytes: Buffer, caps?: Caps): Promise<ReadonlyMap<SiteId, Site>> {
  const sites = new Map<SiteId, Site>()
  for (const [name, value] of Object.entries(readObject(readJson(bytes), ''))) {
    const id = parseSiteId(name)
    if (id === undefined) {
      throw new Wrong('', `expected site ids of a-z 0-9 and -, at most 63, found ${JSON.stringify(name.slice(0, 64))}`)
    }
    sites.set(id, await readSite(id, value, id, 'siteFile', caps))
  }
  return sites
}

/** Returns the ids (`jti`) in a list of revoked licences: `["…", …]`. Throws Wrong. */
export async function readRevoked(bytes: Buffer): Promise<ReadonlySet<string>> {
  let list: unknown
  try {
    list = JSON.parse(bytes.toString())
  } catch {
    throw new Wrong('', 'expected a JSON list of licence ids, found something that is not JSON')
  }
  const ids = new Set<string>()
  for (const [index, id] of readList(list, '').entries()) {
    if (typeof id !== 'string' || id === '') throw new Wrong(`[${index}]`, `expected a licence id, found ${found(id)}`)
    ids.add(id)
  }
  return ids
}
