/** Timers by name, so that none is forgotten: a name has one at most. */
export interface Timers {
  /** Sets a timer, instead of the one of this name that runs. */
  set: (name: string, ms: number, then: () => void) => void
  has: (name: string) => boolean
  clear: (name: string) => void
  clearAll: () => void
}

export function createTimers(): Timers {
  const running = new Map<string, ReturnType<typeof setTimeout>>()
  const clear = (name: string): void => {
    clearTimeout(running.get(name))
    running.delete(name)
  }
  return {
    clear,
    set(name, ms, then) {
      clear(name)
      const run = (): void => {
        running.delete(name)
        then()
      }
      running.set(name, setTimeout(run, ms))
    },
    has: name => running.has(name),
    clearAll() {
      for (const name of running.keys()) clear(name)
    },
  }
}
