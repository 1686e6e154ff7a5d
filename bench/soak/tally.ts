/** Counts by name. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(name: string, n = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + n)
  }

  /** Names with their counts, in the order of the names. */
  rows(): [name: string, count: number][] {
    return [...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }
}
