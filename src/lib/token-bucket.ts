/**
 * A token bucket is one number: the time at which it will be full again. It may be overdrawn: whoever finds a token in it
 * may take more than there are, and the next has to wait until the debt is paid. Rate and size are told each time, so a
 * change of them counts at once. Times are milliseconds of a clock that is never set back.
 */
export class TokenBucket {
  #full = 0

  /** Takes tokens, also those that are not there. */
  take(tokens: number, now: number, perSecond: number): void {
    this.#full = fullAfter(this.#full, tokens, now, perSecond)
  }

  /** Returns in how many seconds there will be a token, 0 when there is one. */
  wait(now: number, perSecond: number, size: number): number {
    return secondsToWait(this.#full, now, perSecond, size)
  }

  isFull(now: number): boolean {
    return this.#full <= now
  }
}

// A token that is not there by the rounding of a fraction is there.
const EPSILON = 1e-6

/** Returns when a bucket that would be full at `full` will be full after tokens were taken: for those who keep the number themselves. */
export function fullAfter(full: number, tokens: number, now: number, perSecond: number): number {
  return Math.max(full, now) + (tokens * 1000) / perSecond
}

/** Returns in how many seconds there will be a token in a bucket that will be full at `full`; 0 when there is one. */
export function secondsToWait(full: number, now: number, perSecond: number, size: number): number {
  const seconds = (full - now) / 1000 - (size - 1) / perSecond
  return seconds > EPSILON ? seconds : 0
}
