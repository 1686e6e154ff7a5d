import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { parseSiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { hasExpired } from './claims.ts'
import { decodeJws, verifyJws } from './jws.ts'
import { chooseKey, type Key } from './keys.ts'
import type { Fields } from './shape.ts'
import { readSite, type Site } from './site.ts'
import type { Caps } from './site-limits.ts'
import { Wrong } from './wrong.ts'

/** An operator's word that a site is what it says it is. */
export interface Licence {
  /** Its `jti`, by which it can be revoked. */
  readonly id: string
  readonly expires: number
  readonly site: Site
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

  constructor(operator: readonly Key[], isRevoked: (id: string) => boolean, clock: Clock, caps?: Caps) {
    this.#operator = operator
    this.#isRevoked = isRevoked
    this.#clock = clock
    this.#caps = caps
  }

  /** Returns the licence that counts now, from its text or as it was verified before. Throws a Refusal `licence_…`. */
  async verify(given: string | Licence): Promise<Licence> {
    const licence = typeof given === 'string' ? await this.#verifyText(given) : given
    this.check(licence)
    return licence
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
    if (this.#isRevoked(licence.id)) throw new Refusal('licence_revoked')
    if (hasExpired(licence.expires, this.#clock.now())) throw new Refusal('licence_expired')
  }

  async #read(text: string): Promise<Licence> {
    const jws = decodeJws(text)
    // The type keeps apart what one key signs: no other JWT of the operator's can pass for a licence (RFC 8725 §3.11).
    if (jws?.header['typ'] !== 'licence+jwt') throw new Refusal('licence_malformed')
    const key = chooseKey(this.#operator, jws.header['kid'])
    if (key === undefined) throw new Refusal('licence_signature', "its kid names none of the operator's keys")
    const outcome = await verifyJws(text, key)
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
    return { id: jti, expires: exp as number, site: await readSite(id, payload['site'], 'site', 'licence', caps) }
  } catch (error) {
    // Only the place: the words of a Wrong may name what stands there, and this answer goes to a browser.
    throw error instanceof Wrong ? new Refusal('licence_malformed', `${error.where} is wrong`) : error
  }
}
