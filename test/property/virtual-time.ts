interface Timer {
  at: number
  readonly listener: () => void
  readonly every: number | undefined
}

const REAL = { setTimeout, setInterval, clearTimeout, clearInterval }

/** Time that passes only when it is told to, for all timers of this process. setImmediate stays as it is. */
export class VirtualTime {
  /** Milliseconds since the epoch. */
  now = 1_800_000_000_000
  readonly #timers = new Set<Timer>()

  install(): void {
    const start = (listener: () => void, ms: number, every?: number) => {
      const timer = { at: this.now + ms, listener, every, unref: () => timer }
      this.#timers.add(timer)
      return timer
    }
    const stop = (timer: Timer): void => void this.#timers.delete(timer)
    Object.assign(globalThis, {
      setTimeout: (listener: () => void, ms = 0) => start(listener, ms),
      setInterval: (listener: () => void, ms: number) => start(listener, ms, ms),
      clearTimeout: stop,
      clearInterval: stop,
    })
  }

  restore(): void {
    Object.assign(globalThis, REAL)
  }

  /** Lets time pass. */
  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      let next: Timer | undefined
      for (const timer of this.#timers) if (timer.at <= end && timer.at < (next?.at ?? Infinity)) next = timer
      if (next === undefined) break
      this.now = Math.max(this.now, next.at)
      if (next.every === undefined) this.#timers.delete(next)
      else next.at += next.every
      next.listener()
    }
    this.now = end
  }

  /** Jumps ahead without any timer noticing, as days in which nothing happened. */
  skip(ms: number): void {
    this.now += ms
    for (const timer of this.#timers) timer.at += ms
  }
}

/** Resolves when all that can go on without time or news has done so. */
export async function settled(): Promise<void> {
  for (let rounds = 0; rounds < 2; rounds++) await new Promise(resolve => setImmediate(resolve))
}
