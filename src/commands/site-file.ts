import {
  chmodSync,
  chownSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import type { SiteId } from '../protocol/ids.ts'
import { Failure } from './command.ts'
import { asJwk, type Jwk, parseObject } from './jwk.ts'

/** The site file of CONTRACT 8. Only what the commands touch is typed; the rest of a site passes through. */
type Sites = Record<string, unknown>

export const SITE_FILE = 'sites.json'

export interface Site {
  readonly keys: readonly Jwk[]
  readonly origins: readonly string[]
}

/** Returns the first shared secret of a site, which servers of the site sign with. */
export function siteSecret(file: string, site: SiteId): Jwk {
  const sites = readSites(file)
  if (!Object.hasOwn(sites, site)) throw new Failure(`${file} has no site ${site}; \`throughline site add\` makes one`)
  const keys = (sites[site] as Partial<Site> | null)?.keys
  const secret = Array.isArray(keys) ? keys.map(asJwk).find(key => key?.kty === 'oct') : undefined
  if (secret === undefined) {
    throw new Failure(`${file} has no secret of ${site} for HS256; give its private key with --key FILE`)
  }
  return secret
}

/**
 * Adds a site, and makes the file if there is none. A running node reloads the file at any moment, so it must never be
 * seen half written: the new one is written beside it and renamed. The new one's name is fixed and never overwritten,
 * so that of two commands at the same time one fails instead of undoing the other.
 */
export function addSite(file: string, id: SiteId, site: Site): void {
  const target = existsSync(file) ? realpathSync(file) : file
  const draft = `${target}.new`
  createDraft(draft)
  try {
    const sites = existsSync(target) ? readSites(target) : {}
    if (Object.hasOwn(sites, id)) throw new Failure(`${file} has a site ${id} already; edit the file to change it`)
    writeFileSync(draft, `${JSON.stringify({ ...sites, [id]: site }, null, 2)}\n`)
    if (existsSync(target)) takeOver(target, draft)
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

function createDraft(draft: string): void {
  try {
    writeFileSync(draft, '', { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new Failure(`${draft} is there: another command is at work; if none is, delete that file and try again`)
  }
}

/** Gives the new file the old one's owner and rights: the node that reads it may run as another user. */
function takeOver(target: string, draft: string): void {
  const { uid, gid, mode } = statSync(target)
  chownSync(draft, uid, gid)
  chmodSync(draft, mode & 0o777)
}

function readSites(file: string): Sites {
  if (!existsSync(file))
    throw new Failure(`${file} is not there; \`throughline site add\` makes it, --sites names another`)
  const sites = parseObject(readFileSync(file, 'utf8'))
  if (sites === undefined) throw new Failure(`${file} is not a site file: a JSON object with a site under each id`)
  return sites
}
