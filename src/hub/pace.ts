import type { SiteId } from '../protocol/ids.ts'

/** Milliseconds of an origin's time that one client's question may take: about 50 a second, which a small PHP site bears. */
const QUESTION = 20
const LEAST = 1000
const MOST = 60_000

/**
 * Spreads the questions that this node sends a site's clients to ask (DESIGN §7, no stampede): each takes its place behind
 * those that were sent before, as in a queue.
 */
export class Pace {
  /** Until when each site's queue reaches, in milliseconds since the epoch. */
  readonly #ends = new Map<SiteId, number>()

  /** Returns the `within` for so many clients more, in milliseconds. */
  within(site: SiteId, clients: number, now: number): number {
    const end = Math.min(Math.max(this.#ends.get(site) ?? 0, now) + clients * QUESTION, now + MOST)
    this.#ends.set(site, end)
    return Math.max(end - now, LEAST)
  }

  /** Forgets the queues that have ended. */
  sweep(now: number): void {
    for (const [site, end] of this.#ends) if (end <= now) this.#ends.delete(site)
  }
}
