const LONGEST_MS = 2 ** 31 - 1 // a longer one would fire at once

/** Timers by name, so that none is forgotten: a name has one at most. */
export class Timers {
  readonly #running = new Map<string, ReturnType<typeof setTimeout>>()

  /** Sets a timer, instead of the one of this name that runs. */
  set(name: string, ms: number, then: () => void): void {
    this.clear(name)
    const run = (): void => {
      this.#running.delete(name)
      then()
    }
    this.#running.set(name, setTimeout(run, Math.min(ms, LONGEST_MS)))
  }

  has(name: string): boolean {
    return this.#running.has(name)
  }

  clear(name: string): void {
    clearTimeout(this.#running.get(name))
    this.#running.delete(name)
  }

  clearAll(): void {
    for (const name of this.#running.keys()) this.clear(name)
  }
}
