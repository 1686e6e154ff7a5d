/** Where time comes from. Every part that needs the time is handed one, so that a test can hand it another. */
export interface Clock {
  /** Milliseconds since the Unix epoch, or, of a steady clock, since some moment. */
  now(): number
}

export const systemClock: Clock = { now: Date.now }

/** Milliseconds since the process began: for what must not be upset when the system's time is set. */
export const steadyClock: Clock = { now: () => performance.now() }

const START = performance.timeOrigin

/** Microseconds since the Unix epoch, the unit of stamps (DESIGN §7), with the fraction of a millisecond that Node can tell. */
export function nowMicros(): number {
  return Math.floor((START + performance.now()) * 1000)
}

/** Stops what `after` or `every` started. Safe to call twice. */
export type Cancel = () => void

/** Calls `listener` once after `ms`. Does not keep the process alive. */
export function after(ms: number, listener: () => void): Cancel {
  const timer = setTimeout(listener, ms)
  timer.unref()
  return () => clearTimeout(timer)
}

/** Calls `listener` every `ms`. Does not keep the process alive. */
export function every(ms: number, listener: () => void): Cancel {
  const timer = setInterval(listener, ms)
  timer.unref()
  return () => clearInterval(timer)
}

/** Resolves after `ms`, and keeps the process alive until then. */
export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** Returns what `work` comes to, or `late` if that takes longer than `ms`. Keeps the process alive until then. */
export function within<T>(ms: number, work: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, late)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Resolves when what came in with this turn of the event loop has been handled: for work that is cheaper in batches. */
export function endOfTick(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
