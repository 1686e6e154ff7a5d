import { endOfTick } from '../lib/clock.ts'
import { type Keys, PARTITIONS, slotOf } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'

const SCRIPT = loadScript('bus/era')

export interface ErasOptions {
  readonly link: RedisLink
  readonly keys: Keys
  /** Called when partitions turn out to be in another era than was known: those that do in one tick together. */
  readonly changed: (partitions: ReadonlySet<number>) => void
}

/**
 * What this node knows of the cluster's eras, one per partition: since when Redis can vouch for the chains' heads
 * (DESIGN §7; docs/decisions/004-heads-and-eras-are-read-together.md).
 */
export class Eras {
  readonly #options: ErasOptions
  readonly #starts = Array.from({ length: PARTITIONS }, () => 0)
  /** The newest stamp or head that clients of this node may know: an era must begin after it. */
  #newest = 0
  #changed = new Set<number>()

  constructor(options: ErasOptions) {
    this.#options = options
  }

  /** Returns the start in microseconds; 0 while it is not known. */
  start(partition: number): number {
    return this.#starts[partition]!
  }

  /** To be called with every stamp and head that clients may get to know. */
  meet(stamp: number): void {
    if (stamp > this.#newest) this.#newest = stamp
  }

  /** To be called when a start was read. */
  learn(partition: number, start: number): void {
    const known = this.#starts[partition]!
    this.#starts[partition] = start
    if (known === 0 || known === start) return
    if (this.#changed.size === 0) void endOfTick().then(() => this.#tell())
    this.#changed.add(partition)
  }

  /**
   * Reads all, and begins those that must begin anew, since a primary is another than before; see era.lua for `wasCutOff`.
   * Rejects when a primary does not answer.
   */
  async read(wasCutOff: boolean): Promise<void> {
    const { link, keys } = this.#options
    const runIds = await link.runIds()
    const starts = await Promise.all(
      this.#starts.map(async (known, partition) => {
        const runId = runIds.get(link.primaryOf(slotOf(partition)) ?? '')
        if (runId === undefined) throw new Error(`no primary is known for partition ${partition}`)
        const args = [runId, this.#newest, known, wasCutOff ? '1' : '0']
        return Number(await link.run(SCRIPT, [keys.era(partition)], args))
      }),
    )
    // Together, so that all that has changed is told at once.
    for (const [partition, start] of starts.entries()) this.learn(partition, start)
  }

  #tell(): void {
    const changed = this.#changed
    this.#changed = new Set()
    this.#options.changed(changed)
  }
}
