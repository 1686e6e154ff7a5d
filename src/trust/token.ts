import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Warn } from './held-file.ts'
import { decodeJws, verifyJws } from './jws.ts'
import { chooseKey } from './keys.ts'
import type { Licence, Licences } from './licence.ts'
import type { Fields } from './shape.ts'
import type { Site } from './site.ts'

/** What a token claims, and the site whose key signed it. */
export interface Signed<Claims> {
  readonly site: Site
  readonly claims: Claims
  /** What the site was known by, unless it stands in the site file. */
  readonly licence: Licence | undefined
}

interface Sources {
  /** Returns the sites of the site file as they are now. */
  readonly sites: () => ReadonlyMap<SiteId, Site>
  readonly licences: Licences
  readonly warn: Warn
}

/** Finds out who signed a token. */
export class Signatures {
  readonly #sources: Sources
  readonly #warned = new Set<SiteId>()

  constructor(sources: Sources) {
    this.#sources = sources
  }

  /**
   * Returns what a token claims, by `read`, once its signature is verified. Until then its `iss` chooses the site and its
   * `kid` one of the site's keys, and nothing else of it is looked at. Throws a Refusal, which knows the site if it exists.
   */
  async verify<Claims>(
    token: string,
    given: string | Licence | undefined,
    read: (payload: Fields) => Claims,
  ): Promise<Signed<Claims>> {
    const jws = decodeJws(token)
    if (jws === undefined) throw new Refusal('token_malformed')
    const { site, licence } = await this.#siteOf(jws.payload['iss'], given)
    try {
      const key = chooseKey(site.keys, jws.header['kid'])
      if (key === undefined) throw new Refusal('token_key')
      const outcome = await verifyJws(token, jws, key)
      if ('fault' in outcome) throw new Refusal(`token_${outcome.fault}`)
      if (given !== undefined && licence === undefined) this.#warnOnce(site.id)
      return { site, licence, claims: read(outcome.payload) }
    } catch (error) {
      if (error instanceof Refusal) error.site = site.id
      throw error
    }
  }

  async #siteOf(iss: unknown, given: string | Licence | undefined): Promise<Pick<Signed<unknown>, 'site' | 'licence'>> {
    const id = parseSiteId(iss)
    if (id === undefined) throw new Refusal('unknown_site', "the token's iss is missing or is not a site id")
    // The operator's own file wins: a licence cannot bring back a key that was taken out of it (CONTRACT 8).
    const site = this.#sources.sites().get(id)
    if (site !== undefined) return { site, licence: undefined }
    if (given === undefined) throw new Refusal('unknown_site', id)
    const licence = await this.#sources.licences.verify(given)
    if (licence.site.id !== id) throw new Refusal('licence_site', `the licence is for ${licence.site.id}, iss is ${id}`)
    return { site: licence.site, licence }
  }

  #warnOnce(site: SiteId): void {
    if (this.#warned.has(site)) return
    this.#warned.add(site)
    this.#sources.warn('a licence was sent for a site of the site file; it is ignored', { site })
  }
}
