import { after, type Cancel, every } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import type { Keys } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'

export interface LeaseOptions {
  readonly link: RedisLink
  readonly keys: Keys
  /** Called when this node was taken for dead and has got another name. */
  readonly lost: () => void
  /** Takes out all that a dead node has set. */
  readonly bury: (node: string) => Promise<void>
  /** Returns every node that has set something. */
  readonly nodes: () => Promise<ReadonlySet<string>>
  readonly failed: (error: unknown) => void
}

/** Milliseconds. A node that dies is noticed after LEASE + RENEWAL at the latest: well within 15 s (DESIGN §9). */
const LEASE = 8000
const RENEWAL = 2500
const PATIENCE = 3000

const RENEW = loadScript('presence/renew')
const BURY = loadScript('presence/bury')
const ORPHANS = loadScript('presence/orphans')

/**
 * A node's word that it is alive. All that it has set in Redis stands under its name; when the lease ends, the others take
 * that out. A node that was only asleep finds its lease gone and goes on under another name, so that who is still at
 * taking out the old one's entries does not touch the new one's.
 */
export class Lease {
  readonly #options: LeaseOptions
  readonly #cancel: Cancel
  #node = randomId(9)
  #hadOne = false
  #renewing = false
  #closed = false

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#cancel = every(RENEWAL, () => void this.#renew())
    void this.#renew()
  }

  /** The name under which this node's entries stand. */
  get node(): string {
    return this.#node
  }

  /** Gives the lease back: what stands under it is taken out at once. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
    try {
      await this.#bury(this.#node)
    } catch (error) {
      // Then the others do it.
      this.#options.failed(error)
    }
  }

  async #renew(): Promise<void> {
    const { link, keys, lost, failed } = this.#options
    if (this.#renewing || !link.ready) return
    this.#renewing = true
    try {
      const first = !this.#hadOne
      const args = [this.#node, LEASE, this.#hadOne ? '1' : '0', PATIENCE]
      const [gone, ...dead] = (await link.run(RENEW, [keys.living(), keys.dead()], args)) as [number, ...string[]]
      this.#hadOne = gone === 0
      if (gone === 1) this.#node = randomId(9)
      // Redis may have lost the leases of others as well.
      if (gone === 1 || first) this.#lookForOrphans()
      for (const node of dead) await this.#bury(node)
    } catch (error) {
      failed(error)
    } finally {
      this.#renewing = false
    }
    if (this.#hadOne || this.#closed) return
    await this.#renew()
    if (this.#hadOne) lost()
  }

  /** After a while in which all who live have renewed: finds those that died while Redis had no lease of theirs. */
  #lookForOrphans(): void {
    after(2 * RENEWAL, () => {
      this.#findOrphans().catch((error: unknown) => {
        this.#options.failed(error)
        if (!this.#closed) this.#lookForOrphans()
      })
    })
  }

  async #findOrphans(): Promise<void> {
    const { link, keys, nodes } = this.#options
    const found = await nodes()
    if (found.size > 0) await link.run(ORPHANS, [keys.living(), keys.dead()], [...found])
  }

  async #bury(node: string): Promise<void> {
    const { link, keys, bury } = this.#options
    await bury(node)
    await link.run(BURY, [keys.living(), keys.dead()], [node])
  }
}
