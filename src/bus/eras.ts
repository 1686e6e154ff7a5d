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

  /** To be called when a start was read. Returns whether it is another than the known one. */
  learn(partition: number, start: number): boolean {
    const known = this.#starts[partition]!
    this.#starts[partition] = start
    return known !== 0 && known !== start
  }

  /**
   * Reads all, and begins those that must begin anew, since a primary is another than before. `newest` is the newest
   * stamp that this node has forwarded; see era.lua for `wasCutOff`. Returns the starts by partition. Rejects when a
   * primary does not answer.
   */
  async read(link: RedisLink, keys: Keys, newest: number, wasCutOff: boolean): Promise<number[]> {
    const runIds = await link.runIds()
    return Promise.all(
      this.#starts.map(async (known, partition) => {
        const runId = runIds.get(link.primaryOf(slotOf(partition)) ?? '')
        if (runId === undefined) throw new Error(`no primary is known for partition ${partition}`)
        const args = [runId, newest, known, wasCutOff ? '1' : '0']
        return Number(await link.run(SCRIPT, [keys.era(partition)], args))
      }),
    )
  }
}
