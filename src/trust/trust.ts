import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import type { SiteId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { hasExpired, readGrantClaims, readServerClaims, readUserClaims, type Scope, type UserClaims } from './claims.ts'
import { fixed, type HeldFile, holdFile, type Warn } from './held-file.ts'
import type { Key } from './keys.ts'
import { type Licence, Licences } from './licence.ts'
import type { LicenceShare } from './newest.ts'
import { readOperatorKeys } from './operator.ts'
import { readRevoked, readSites } from './site-file.ts'
import type { Caps } from './site-limits.ts'
import type { Site } from './site.ts'
import { Signatures, type Signed } from './token.ts'
import { TrustConfigError } from './wrong.ts'

export { LEEWAY_SECONDS, type Scope } from './claims.ts'
export type { Callback } from './callback.ts'
export { type Ice, readNodeIce } from './ice.ts'
export type { Licence } from './licence.ts'
export { permissionMask, permissionWords, PRESENCE, READ, SEND } from './permissions.ts'
export { type NodeLimits, readNodeLimits, type SiteLimits, UNKNOWN_SITE } from './site-limits.ts'
export type { Site } from './site.ts'
export { type IceServer, iceServers } from './turn.ts'
export { readCallbackKey } from './callback-key.ts'
export { TrustConfigError } from './wrong.ts'

/** Who a client is, and what it may do, in its site's word. */
export interface UserIdentity extends UserClaims {
  readonly site: Site
  /** What the site was known by, unless it stands in the site file. */
  readonly licence: Licence | undefined
}

/** An origin, and what it may call. */
export interface ServerIdentity {
  readonly site: Site
  /** Undefined means all. */
  readonly scopes: ReadonlySet<Scope> | undefined
  readonly expires: number
}

/** Who is this, and what may they do (DESIGN §4). */
export interface Trust {
  /**
   * Verifies a user token. `licence` is the text that came with it, or one that was verified before. Rejects with a Refusal
   * that names the first thing that is wrong.
   */
  verifyUser(token: string, licence?: string | Licence): Promise<UserIdentity>
  /** The same for a grant. */
  verifyGrant(grant: string, licence?: Licence): Promise<UserIdentity>
  /**
   * Verifies a server token, and remembers it: made for each request of the publish path. Its expiry and its licence's
   * are checked at each use, and nothing is remembered across a change of sites or revocations.
   */
  verifyServer(token: string, licence?: string): Promise<ServerIdentity>
  /** Returns a site: of the site file, else as its newest licence has it. A promise only when the cluster has to be asked. */
  findSite(site: SiteId): Site | undefined | Promise<Site | undefined>
  /** Calls `listener` whenever the sites or the revoked licences changed on disk. What was verified before may count no longer. */
  onChange(listener: () => void): void
  /** Tells whether the licence with this id (`jti`) is revoked. */
  isRevoked(id: string): boolean
  /** Stops looking for changes. */
  close(): void
}

export interface TrustOptions {
  /** Path of the site file. */
  sites?: string
  /** Path or inline JSON: one public JWK, or `{"keys":[…]}`. */
  operatorJwks?: string
  /** Path of the list of revoked licences. */
  revoked?: string
  /** What any site gets at most, whatever its entry or its licence says. */
  caps?: Caps
  clock: Clock
  /** How nodes tell each other of newer licences; without it each goes by those it has seen. */
  share?: LicenceShare
  warn: (message: string, facts: object) => void
  /** How often the files are looked at, 1 s if left out. */
  reloadMs?: number
}

/** Reads the files and returns what they say. Throws a TrustConfigError when one is missing or wrong. */
export async function openTrust(options: TrustOptions): Promise<Trust> {
  const { sites, operatorJwks, revoked, caps, clock, share, warn, reloadMs = RELOAD_MS } = options
  if (sites === undefined && operatorJwks === undefined) {
    throw new TrustConfigError('THROUGHLINE_SITES', 'expected this or THROUGHLINE_OPERATOR_JWKS, found neither')
  }
  const listeners = new Set<() => void>()
  const shared = { warn, reloadMs, listener: () => listeners.forEach(listener => listener()) }
  const operator = operatorJwks === undefined ? [] : await readOperatorKeys(operatorJwks)
  const siteFile =
    sites === undefined
      ? fixed<Sites>(new Map())
      : await holdFile({
          path: sites,
          variable: 'THROUGHLINE_SITES',
          parse: bytes => readSites(bytes, caps),
          ...shared,
        })
  try {
    const revokedFile =
      revoked === undefined
        ? fixed<Revoked>(new Set())
        : await holdFile({ path: revoked, variable: 'THROUGHLINE_REVOKED', parse: readRevoked, ...shared })
    return new FileTrust({ operator, siteFile, revokedFile, listeners, caps, clock, share, warn })
  } catch (error) {
    siteFile.close()
    throw error
  }
}

const RELOAD_MS = 1000
// The bytes bound it too, as a token may have 64 KiB.
const CACHED_TOKENS = { max: 10_000, maxSize: 16 * 1024 * 1024 }

type Sites = ReadonlyMap<SiteId, Site>
type Revoked = ReadonlySet<string>

interface Parts {
  readonly operator: readonly Key[]
  readonly siteFile: HeldFile<Sites>
  readonly revokedFile: HeldFile<Revoked>
  readonly listeners: Set<() => void>
  readonly caps: Caps | undefined
  readonly clock: Clock
  readonly share: LicenceShare | undefined
  readonly warn: Warn
}

interface Remembered {
  readonly identity: ServerIdentity
  readonly licence: Licence | undefined
  /** What was sent along: with another licence, or none, the same token is another question. */
  readonly licenceText: string | undefined
}

class FileTrust implements Trust {
  readonly #parts: Parts
  readonly #licences: Licences
  readonly #signatures: Signatures
  readonly #servers: LRUCache<string, Remembered>
  // Counts the changes, so that what was verified before one is not remembered after it.
  #version = 0

  constructor(parts: Parts) {
    const { operator, siteFile, caps, clock, share, warn } = parts
    this.#parts = parts
    this.#licences = new Licences({
      operator,
      isRevoked: id => this.isRevoked(id),
      clock,
      caps,
      share,
      changed: () => this.#forget(),
    })
    this.#signatures = new Signatures({ sites: () => siteFile.value, licences: this.#licences, warn })
    this.#servers = new LRUCache({
      ...CACHED_TOKENS,
      sizeCalculation: ({ licenceText }, token) => token.length + (licenceText?.length ?? 0),
    })
    this.onChange(() => this.#forget())
  }

  async verifyUser(token: string, given?: string | Licence): Promise<UserIdentity> {
    const signed = this.#signatures.verify(token, given, payload => readUserClaims(payload, this.#parts.clock.now()))
    return identityOf(signed instanceof Promise ? await signed : signed)
  }

  async verifyGrant(grant: string, given?: Licence): Promise<UserIdentity> {
    return identityOf(
      await this.#signatures.verify(grant, given, payload => readGrantClaims(payload, this.#parts.clock.now())),
    )
  }

  async verifyServer(token: string, licenceText?: string): Promise<ServerIdentity> {
    const remembered = this.#servers.get(token)
    if (remembered !== undefined && remembered.licenceText === licenceText) {
      const { identity, licence } = remembered
      if (licence !== undefined) this.#licences.check(licence)
      if (hasExpired(identity.expires, this.#parts.clock.now())) {
        throw new Refusal('token_expired', undefined, { site: identity.site.id })
      }
      return identity
    }
    const version = this.#version
    const { site, claims, licence } = await this.#signatures.verify(token, licenceText, payload =>
      readServerClaims(payload, this.#parts.clock.now()),
    )
    const identity = { site, ...claims }
    if (version === this.#version) this.#servers.set(token, { identity, licence, licenceText })
    return identity
  }

  findSite(site: SiteId): Site | undefined | Promise<Site | undefined> {
    return this.#parts.siteFile.value.get(site) ?? this.#licences.find(site)
  }

  onChange(listener: () => void): void {
    this.#parts.listeners.add(listener)
  }

  isRevoked(id: string): boolean {
    return this.#parts.revokedFile.value.has(id)
  }

  #forget(): void {
    this.#version++
    this.#servers.clear()
  }

  close(): void {
    this.#parts.siteFile.close()
    this.#parts.revokedFile.close()
  }
}

// Written out, as there is one for each connection: what is spread into an object takes three times as much memory.
function identityOf({ site, claims, licence }: Signed<UserClaims>): UserIdentity {
  const { user, threads, watch, info, issuedAt, expires } = claims
  return { site, user, threads, watch, info, issuedAt, expires, licence }
}
