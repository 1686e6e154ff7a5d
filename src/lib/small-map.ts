const FEW = 32
/** What all that are empty share. */
const NOTHING: readonly never[] = []

/**
 * A map of numbers, for things of which there are very many and most of which have few entries: then it is a list that is
 * exactly as long as it must be (keys and numbers by turns), a third of what a Map takes.
 */
export class SmallMap<K extends string> implements Iterable<[K, number]> {
  #entries: readonly (K | number)[] | Map<K, number> = NOTHING

  get size(): number {
    return this.#entries instanceof Map ? this.#entries.size : this.#entries.length / 2
  }

  get(key: K): number | undefined {
    if (this.#entries instanceof Map) return this.#entries.get(key)
    const at = this.#entries.indexOf(key)
    return at === -1 ? undefined : (this.#entries[at + 1] as number)
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  set(key: K, value: number): void {
    if (this.#entries instanceof Map) {
      this.#entries.set(key, value)
      return
    }
    // Most have one entry for ever.
    if (this.#entries.length === 0) {
      this.#entries = [key, value]
      return
    }
    const others = this.#without(key)
    if (others.length < 2 * FEW) this.#entries = others.concat(key, value)
    else this.#entries = new Map([...this, [key, value]])
  }

  delete(key: K): void {
    if (this.#entries instanceof Map) this.#entries.delete(key)
    else this.#entries = this.#without(key)
  }

  *keys(): Iterable<K> {
    for (const [key] of this) yield key
  }

  *[Symbol.iterator](): Iterator<[K, number]> {
    if (this.#entries instanceof Map) yield* this.#entries
    else for (let i = 0; i < this.#entries.length; i += 2) yield [this.#entries[i] as K, this.#entries[i + 1] as number]
  }

  #without(key: K): readonly (K | number)[] {
    const entries = this.#entries as readonly (K | number)[]
    const at = entries.indexOf(key)
    return at === -1 ? entries : entries.filter((_, i) => i !== at && i !== at + 1)
  }
}
