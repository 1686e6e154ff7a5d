import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Warn } from './held-file.ts'
import { decodeJws, type Outcome, type Unverified, verifyJws } from './jws.ts'
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
   * Returns what a token claims, by `read`, once its signature is verified: at once when nothing has to be waited for, since
   * most tokens are signed with a secret. Until then its `iss` chooses the site and its `kid` one of the site's keys, and
   * nothing else of it is looked at. Throws, or rejects with, a Refusal, which knows the site if it exists.
   */
  verify<Claims>(
    token: string,
    given: string | Licence | undefined,
    read: (payload: Fields) => Claims,
  ): Signed<Claims> | Promise<Signed<Claims>> {
    const jws = decodeJws(token)
    if (jws === undefined) throw new Refusal('token_malformed')
    const id = parseSiteId(jws.payload['iss'])
    if (id === undefined) throw new Refusal('unknown_site', "the token's iss is missing or is not a site id")
    // The operator's own file wins: a licence cannot bring back a key that was taken out of it (CONTRACT 8).
    const site = this.#sources.sites().get(id)
    if (site === undefined) return this.#verifyLicensed(id, token, jws, given, read)
    const outcome = verifyAs(site, token, jws)
    if (outcome instanceof Promise) return outcome.then(verified => this.#listed(site, given, verified, read))
    return this.#listed(site, given, outcome, read)
  }

  /** Returns what a token of a site of the site file claims. */
  #listed<Claims>(
    site: Site,
    given: string | Licence | undefined,
    outcome: Outcome,
    read: (payload: Fields) => Claims,
  ): Signed<Claims> {
    const payload = payloadOf(outcome, site)
    if (given !== undefined) this.#warnOnce(site.id)
    return { site, licence: undefined, claims: readAs(site, payload, read) }
  }

  async #verifyLicensed<Claims>(
    id: SiteId,
    token: string,
    jws: Unverified,
    given: string | Licence | undefined,
    read: (payload: Fields) => Claims,
  ): Promise<Signed<Claims>> {
    if (given === undefined) throw new Refusal('unknown_site', id)
    const licence = await this.#sources.licences.verify(given)
    const { site } = licence
    if (site.id !== id) throw new Refusal('licence_site', `the licence is for ${site.id}, iss is ${id}`)
    const payload = payloadOf(await verifyAs(site, token, jws), site)
    return { site, licence, claims: readAs(site, payload, read) }
  }

  #warnOnce(site: SiteId): void {
    if (this.#warned.has(site)) return
    this.#warned.add(site)
    this.#sources.warn('a licence was sent for a site of the site file; it is ignored', { site })
  }
}

function verifyAs({ id, keys }: Site, token: string, jws: Unverified): Outcome | Promise<Outcome> {
  const key = chooseKey(keys, jws.header['kid'])
  if (key === undefined) throw new Refusal('token_key', undefined, { site: id })
  return verifyJws(token, jws, key)
}

function payloadOf(outcome: Outcome, { id }: Site): Fields {
  if ('fault' in outcome) throw new Refusal(`token_${outcome.fault}`, undefined, { site: id })
  return outcome.payload
}

function readAs<Claims>({ id }: Site, payload: Fields, read: (payload: Fields) => Claims): Claims {
  try {
    return read(payload)
  } catch (error) {
    if (error instanceof Refusal) error.site = id
    throw error
  }
}
