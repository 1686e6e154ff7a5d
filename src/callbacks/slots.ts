import { after } from '../lib/clock.ts'

export interface SlotsOptions {
  /** Requests to sites that are well, and have not been out for long. */
  readonly quick: number
  /** Requests that went out as such, and are not answered yet: a waiting request costs little. */
  readonly late: number
  /** Milliseconds after which a quick one is late. */
  readonly lateAfterMs: number
  /** Requests to sites that failed last. */
  readonly failing: number
}

/** One request's place among those that a node has under way. */
export interface Slot {
  /** Counts it as late from now on. */
  late(): void
  /** To be called once. */
  release(): void
}

/**
 * How many requests a node has under way. Sites that fail, and those that have not answered after a while, have slots of
 * their own, so that however many they are, the others find some free.
 */
export class Slots {
  readonly #most: SlotsOptions
  #quick = 0
  #late = 0
  #failing = 0

  constructor(most: SlotsOptions) {
    this.#most = most
  }

  /** Returns undefined when there is none. `freed` is called when it turns out to be late. */
  take(isFailing: boolean, freed: () => void): Slot | undefined {
    if (isFailing) {
      if (this.#failing >= this.#most.failing) return undefined
      this.#failing++
      return { late() {}, release: () => this.#failing-- }
    }
    const { quick, late, lateAfterMs } = this.#most
    if (this.#quick >= quick || this.#late >= late) return undefined
    this.#quick++
    let isLate = false
    const leave = (): void => {
      cancel()
      if (isLate) return
      isLate = true
      this.#quick--
      this.#late++
      freed()
    }
    const cancel = after(lateAfterMs, leave)
    return {
      late: leave,
      release: () => {
        cancel()
        if (isLate) this.#late--
        else this.#quick--
      },
    }
  }
}
