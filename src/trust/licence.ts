import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { hasExpired } from './claims.ts'
import { decodeJws, verifyJws } from './jws.ts'
import { chooseKey, type Key } from './keys.ts'
import { type LicenceShare, NewestLicences } from './newest.ts'
import type { Fields } from './shape.ts'
import { readSite, type Site } from './site.ts'
import type { Caps } from './site-limits.ts'
import { Wrong } from './wrong.ts'

/** An operator's word that a site is what it says it is. */
export interface Licence {
  /** Its `jti`, by which it can be revoked. */
  readonly id: string
  /** Seconds since the epoch, like `expires`. */
  readonly issuedAt: number
  readonly expires: number
  readonly site: Site
}

export interface LicencesOptions {
  readonly operator: readonly Key[]
  readonly isRevoked: (id: string) => boolean
  readonly clock: Clock
  readonly caps: Caps | undefined
  readonly share: LicenceShare | undefined
  /** Called when what a site may has changed. */
  readonly changed: () => void
}

// A licence is about 1 KB, so this is a few MB and more sites than one node serves at a time.
const CACHED = 5000
const LONGEST_ID = 256

/** Verifies licences, each text once. */
export class Licences {
  readonly #operator: readonly Key[]
  readonly #isRevoked: (id: string) => boolean
  readonly #clock: Clock
  readonly #caps: Caps | undefined
  // By hash: the texts are long, and a cache that leaks would leak what proves nothing.
  readonly #verified = new LRUCache<string, Licence>({ max: CACHED })

  readonly #newest: NewestLicences

  constructor({ operator, isRevoked, clock, caps, share, changed }: LicencesOptions) {
    this.#operator = operator
    this.#isRevoked = isRevoked
    this.#clock = clock
    this.#caps = caps
    const verify = (text: string): Promise<Licence> => this.#verifyText(text)
    const counts = (licence: Licence): boolean => this.#fault(licence) === undefined
    this.#newest = new NewestLicences({ clock, share, verify, counts, changed })
  }

  /**
   * Returns the licence that counts now, from its text or as it was verified before: with its own keys, and all else as the
   * newest of its site says. Throws a Refusal `licence_…`.
   */
  async verify(given: string | Licence): Promise<Licence> {
    const licence = typeof given === 'string' ? await this.#verifyText(given) : given
    this.check(licence)
    if (typeof given === 'string') await this.#newest.meet(licence, given)
    return this.#newest.apply(licence)
  }

  find(site: SiteId): Site | undefined | Promise<Site | undefined> {
    return this.#newest.find(site)
  }

  async #verifyText(text: string): Promise<Licence> {
    const hash = createHash('sha256').update(text).digest('base64')
    let licence = this.#verified.get(hash)
    if (licence === undefined) {
      licence = await this.#read(text)
      this.#verified.set(hash, licence)
    }
    return licence
  }

  /** Throws a Refusal when a licence that was verified earlier counts no longer. */
  check(licence: Licence): void {
    const fault = this.#fault(licence)
    if (fault !== undefined) throw new Refusal(fault)
  }

  #fault({ id, expires }: Licence): 'licence_revoked' | 'licence_expired' | undefined {
    if (this.#isRevoked(id)) return 'licence_revoked'
    return hasExpired(expires, this.#clock.now()) ? 'licence_expired' : undefined
  }

  async #read(text: string): Promise<Licence> {
    const jws = decodeJws(text)
    // The type keeps apart what one key signs: no other JWT of the operator's can pass for a licence (RFC 8725 §3.11).
    if (jws?.header['typ'] !== 'licence+jwt') throw new Refusal('licence_malformed')
    const key = chooseKey(this.#operator, jws.header['kid'])
    if (key === undefined) throw new Refusal('licence_signature', "its kid names none of the operator's keys")
    const outcome = await verifyJws(text, jws, key)
    if ('payload' in outcome) return readLicence(outcome.payload, this.#caps)
    throw new Refusal(outcome.fault === 'malformed' ? 'licence_malformed' : 'licence_signature')
  }
}

async function readLicence(payload: Fields, caps: Caps | undefined): Promise<Licence> {
  const { iss, sub, iat, exp, jti, nbf } = payload
  const id = parseSiteId(sub)
  if (id === undefined) throw new Refusal('licence_malformed', 'sub is not a site id')
  if (typeof iss !== 'string' || iss === '') throw new Refusal('licence_malformed', 'iss is missing')
  if (!Number.isFinite(iat)) throw new Refusal('licence_malformed', 'iat is not a number')
  if (!Number.isFinite(exp)) throw new Refusal('licence_malformed', 'exp is not a number')
  // Whoever sets it means it, so ignoring it would allow what was forbidden.
  if (nbf !== undefined) throw new Refusal('licence_malformed', 'nbf is not supported; a licence counts at once')
  if (typeof jti !== 'string' || jti === '' || jti.length > LONGEST_ID) {
    throw new Refusal('licence_malformed', `jti is not a string of 1 to ${LONGEST_ID}`)
  }
  try {
    const site = await readSite(id, payload['site'], 'site', 'licence', caps)
    return { id: jti, issuedAt: iat as number, expires: exp as number, site }
  } catch (error) {
    // Only the place: the words of a Wrong may name what stands there, and this answer goes to a browser.
    throw error instanceof Wrong ? new Refusal('licence_malformed', `${error.where} is wrong`) : error
  }
}
