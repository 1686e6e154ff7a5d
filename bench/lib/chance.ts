/** Chance that follows from a seed (mulberry32), so that a run can be repeated as far as timing allows. */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** Returns a number from 0 up to, and not including, 1. */
  part(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(n: number): number {
    return Math.floor(this.part() * n)
  }

  is(p: number): boolean {
    return this.part() < p
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  /** Returns up to `n` different ones. */
  some<T>(from: readonly T[], n: number): T[] {
    return [...new Set(Array.from({ length: n }, () => this.pick(from)))]
  }
}
