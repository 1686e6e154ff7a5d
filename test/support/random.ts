import { randomInt } from 'node:crypto'

/** Chance that follows from a seed, so that a run can be repeated. */
export class Chance {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = mulberry32(seed)
  }

  /** Returns a number from 0 up to, and not including, 1. */
  part(): number {
    return this.#next()
  }

  /** Returns an integer from 0 up to, and not including, `n`. */
  below(n: number): number {
    return Math.floor(this.#next() * n)
  }

  /** Returns true with probability `p`. */
  is(p: number): boolean {
    return this.#next() < p
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }
}

/** The seed of a run: what SEED says, or any. It belongs in the name of the test and into every failure. */
export const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 32))

/** A small generator whose numbers follow from its seed, since Math.random has none. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
