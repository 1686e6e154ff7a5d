import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import type { SiteId } from '../protocol/ids.ts'
import type { Licence } from './licence.ts'
import type { Site } from './site.ts'

/** What nodes tell each other of licences. */
export interface LicenceShare {
  /**
   * Tells the text of a licence that this node has verified, and returns that of a newer one for the same site, if the
   * cluster knows one. Rejects when nothing can be known now. `issuedAt` and `expires` are in seconds.
   */
  offer(site: SiteId, issuedAt: number, expires: number, text: string): Promise<string | undefined>
  /** Returns the text of the newest licence that the cluster knows of a site. Rejects when nothing can be known now. */
  ask(site: SiteId): Promise<string | undefined>
}

interface Known {
  readonly licence: Licence
  readonly text: string
  /** Milliseconds. */
  askedAt: number
}

/** Milliseconds after which the cluster is asked again whether there is a newer one. */
const ASK_AGAIN = 30_000
const SITES = 5000

/**
 * The newest licence of each site that the cluster has seen: what a site may comes from it, and an older one verifies
 * keys only (CONTRACT 9). Each node verifies what others tell; nobody believes Redis.
 */
export class NewestLicences {
  readonly #clock: Clock
  readonly #share: LicenceShare | undefined
  readonly #verify: (text: string) => Promise<Licence>
  readonly #counts: (licence: Licence) => boolean
  readonly #changed: () => void
  readonly #known = new LRUCache<SiteId, Known>({ max: SITES })
  // So that the same licence always means the same site object.
  readonly #sites = new WeakMap<Licence, { readonly newest: Licence; readonly licence: Licence }>()

  constructor(options: {
    readonly clock: Clock
    readonly share: LicenceShare | undefined
    /** Verifies a text, whether it counts now or not. */
    readonly verify: (text: string) => Promise<Licence>
    /** Whether a licence is neither expired nor revoked. */
    readonly counts: (licence: Licence) => boolean
    /** Called when what a site may has changed. */
    readonly changed: () => void
  }) {
    this.#clock = options.clock
    this.#share = options.share
    this.#verify = options.verify
    this.#counts = options.counts
    this.#changed = options.changed
  }

  /** Takes note of a licence that was presented and counts. Waits for the cluster's word only the first time. */
  async meet(licence: Licence, text: string): Promise<void> {
    const known = this.#known.get(licence.site.id)
    const isFirst = known === undefined
    if (isFirst || licence.issuedAt >= known.licence.issuedAt) this.#take(licence, text)
    const now = this.#clock.now()
    const newest = this.#known.get(licence.site.id)!
    if (now - newest.askedAt < ASK_AGAIN) return
    newest.askedAt = now
    const asking = this.#ask(newest)
    if (isFirst) await asking
  }

  /** Returns a site as its newest licence has it, if that counts. Waits for the cluster only when this node knows none. */
  find(site: SiteId): Site | undefined | Promise<Site | undefined> {
    const known = this.#known.get(site)?.licence
    if (known === undefined) return this.#share === undefined ? undefined : this.#learn(site, this.#share)
    return this.#counts(known) ? known.site : undefined
  }

  /** Returns the licence with its own keys, and everything else as the newest says. */
  apply(licence: Licence): Licence {
    const newest = this.#known.get(licence.site.id)?.licence
    if (newest === undefined || newest === licence || !this.#counts(newest)) return licence
    const made = this.#sites.get(licence)
    if (made?.newest === newest) return made.licence
    const site: Site = { ...newest.site, keys: licence.site.keys }
    const applied = { ...licence, site }
    this.#sites.set(licence, { newest, licence: applied })
    return applied
  }

  async #learn(site: SiteId, share: LicenceShare): Promise<Site | undefined> {
    try {
      const text = await share.ask(site)
      if (text === undefined) return undefined
      const licence = await this.#verify(text)
      if (licence.site.id !== site || !this.#counts(licence)) return undefined
      this.#take(licence, text)
      return licence.site
    } catch {
      // As in #ask.
      return undefined
    }
  }

  #take(licence: Licence, text: string): void {
    const known = this.#known.get(licence.site.id)
    if (known?.licence === licence) return
    this.#known.set(licence.site.id, { licence, text, askedAt: 0 })
    if (known !== undefined) this.#changed()
  }

  async #ask({ licence, text }: Known): Promise<void> {
    try {
      const newer = await this.#share?.offer(licence.site.id, licence.issuedAt, licence.expires, text)
      if (newer === undefined) return
      const found = await this.#verify(newer)
      if (found.site.id !== licence.site.id || found.issuedAt <= licence.issuedAt) return
      this.#take(found, newer)
      this.#known.get(found.site.id)!.askedAt = this.#clock.now()
    } catch {
      // Redis is away, or holds something that is no licence: then this node goes by what it has seen itself.
    }
  }
}
