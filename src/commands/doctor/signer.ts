import { parseSiteId, type SiteId } from '../../protocol/ids.ts'
import type { Patient } from './check.ts'
import type { SiteEntry } from './sites.ts'

/** A site for which the doctor can sign. */
export interface Signer {
  readonly site: SiteId
  readonly values: { readonly sites: string; readonly key?: string; readonly licence?: string }
}

/**
 * Returns the sites that the doctor can speak for, and that fit: the one of --site, signing with --key or its secret in the
 * site file, else all whose secrets stand there.
 */
export async function signers(
  { config, options, sites }: Patient,
  fits: (entry: SiteEntry | undefined) => boolean = () => true,
): Promise<readonly Signer[]> {
  const entries = await sites().catch(() => new Map<string, SiteEntry>())
  const { key, licence } = options
  const values = {
    sites: config.sites ?? '',
    ...(key === undefined ? {} : { key }),
    ...(licence === undefined ? {} : { licence }),
  }
  const names = options.site === undefined ? [...entries.keys()] : [options.site]
  return names.flatMap(name => {
    const site = parseSiteId(name)
    const entry = entries.get(name)
    const secret = key !== undefined || entry?.keys.some(({ kty }) => kty === 'oct') === true
    return site !== undefined && secret && fits(entry) ? [{ site, values }] : []
  })
}

/** Why a check has nobody to speak for. */
export const NO_SIGNER =
  'no site has a secret in the site file: name one by --site, --key and, if it has one, --licence'
