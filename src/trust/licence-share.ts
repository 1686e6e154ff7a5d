import type { SiteId } from '../protocol/ids.ts'
import { siteTopic } from '../protocol/topic.ts'
import type { Keys } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'
import type { LicenceShare } from './newest.ts'

const OFFER = loadScript('trust/offer')

/** The newest licence of each site stands in Redis as it was signed. A licence is public. */
export class RedisLicences implements LicenceShare {
  readonly #link: RedisLink
  readonly #keys: Keys

  constructor(link: RedisLink, keys: Keys) {
    this.#link = link
    this.#keys = keys
  }

  async offer(site: SiteId, issuedAt: number, expires: number, text: string): Promise<string | undefined> {
    const key = this.#keys.licence(siteTopic(site))
    const newer = await this.#link.run(OFFER, [key], [issuedAt, Math.ceil(expires), text])
    return typeof newer === 'string' ? newer : undefined
  }

  ask(site: SiteId): Promise<string | undefined> {
    return this.offer(site, -1, 0, '')
  }
}
