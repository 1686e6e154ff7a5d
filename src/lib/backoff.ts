/**
 * Returns how long to wait before the given attempt (1 is the first), in milliseconds: doubling from `base` up to `cap`,
 * with half of it random, so that many who failed together do not come back together.
 */
export function backoff(attempt: number, base: number, cap: number): number {
  const full = Math.min(base * 2 ** (attempt - 1), cap)
  return full / 2 + (Math.random() * full) / 2
}

/**
 * Returns the same with full jitter: anything from `least` on up to what doubles from `first`. For many who wait for the same
 * one thing to come back, that spreads best.
 */
export function jittered(attempt: number, least: number, first: number, cap: number): number {
  const full = Math.min(first * 2 ** (attempt - 1), cap)
  return least + Math.random() * (full - least)
}
