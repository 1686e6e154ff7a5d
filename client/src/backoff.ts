/** How long to wait. Pure: chance comes as a number from 0 up to 1. */
const FIRST_MS = 1000
// With 2, one page in four would wait longer after an outage of seconds than it lasted; so it is one in sixteen.
const GROWTH = 1.5
const LONGEST_MS = 20_000

/** Returns the milliseconds to wait before attempt `n` (from 0) in a row: exponential, capped, with full jitter. */
export function backoff(n: number, chance: number): number {
  return chance * Math.min(FIRST_MS * GROWTH ** n, LONGEST_MS)
}

/**
 * Returns after how many milliseconds to refresh a token that is good for `seconds` more: 30 to 60 s before its end,
 * and when it is short after a half to three quarters of it.
 */
export function refreshIn(seconds: number, chance: number): number {
  return 1000 * Math.max(1, seconds - 60 + 30 * chance, seconds * (0.5 + chance / 4))
}
