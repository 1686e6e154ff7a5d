import { type Keys, PARTITIONS, slotOf } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'

const SCRIPT = loadScript('bus/era')

/**
 * What this node knows of the cluster's eras, one per partition: since when Redis can vouch for the chains' heads
 * (DESIGN §7; docs/decisions/004-heads-and-eras-are-read-together.md).
 */
export class Eras {
  readonly #starts = Array.from({ length: PARTITIONS }, () => 0)

  /** Returns the start in microseconds; 0 while it is not known. */
  start(partition: number): number {
    return this.#starts[partition]!
  }

  /** To be called when a start was read beside something else. */
  learn(partition: number, start: number): void {
    this.#starts[partition] = start
  }

  /**
   * Reads all, and begins those that must begin anew, since a primary is another than before. `newest` is the newest
   * stamp that this node has forwarded. Rejects when a primary does not answer.
   */
  async read(link: RedisLink, keys: Keys, newest: number): Promise<void> {
    const runIds = await link.runIds()
    await Promise.all(
      this.#starts.map(async (known, partition) => {
        const runId = runIds.get(link.primaryOf(slotOf(partition)) ?? '')
        if (runId === undefined) throw new Error(`no primary is known for partition ${partition}`)
        this.#starts[partition] = Number(await link.run(SCRIPT, [keys.era(partition)], [runId, newest, known]))
      }),
    )
  }
}
