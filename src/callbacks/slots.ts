import { after } from '../lib/clock.ts'

/** How many times as many as the quick may have turned out to be slow: a waiting request costs little. */
const OVER = 4

/**
 * How many requests a node has under way. Sites that fail, and those that have not answered after a while, have slots of
 * their own, so that however many they are, the others find some free.
 */
export class Slots {
  readonly #quickMost: number
  readonly #slowMost: number
  readonly #slowAfterMs: number
  #quick = 0
  #slow = 0

  constructor({ quick, slow, slowAfterMs }: { quick: number; slow: number; slowAfterMs: number }) {
    this.#quickMost = quick
    this.#slowMost = slow
    this.#slowAfterMs = slowAfterMs
  }

  /** Returns what gives the slot back; undefined when there is none. `freed` is called when a slow one has left the quick ones. */
  take(isSlow: boolean, freed: () => void): (() => void) | undefined {
    if (isSlow) {
      if (this.#slow >= this.#slowMost) return undefined
      this.#slow++
      return () => this.#slow--
    }
    // What turned out to be slow may be more than its slots, but not without end.
    if (this.#quick >= this.#quickMost || this.#slow >= OVER * this.#quickMost) return undefined
    this.#quick++
    let slow = false
    const cancel = after(this.#slowAfterMs, () => {
      slow = true
      this.#quick--
      this.#slow++
      freed()
    })
    return () => {
      cancel()
      if (slow) this.#slow--
      else this.#quick--
    }
  }
}
