/** What a token may allow in a thread, as bits of a mask: a connection holds one number per thread. */
export const READ = 1
export const SEND = 2
export const PRESENCE = 4

// A Map, so that a word such as "constructor" names nothing.
const BITS: ReadonlyMap<string, number> = new Map([
  ['read', READ],
  ['send', SEND],
  ['presence', PRESENCE],
])

/** Returns the words of a mask. */
export function permissionWords(mask: number): string[] {
  return [...BITS].filter(([, bit]) => (mask & bit) !== 0).map(([word]) => word)
}

/**
 * Returns the mask of a list of words, or undefined when it is no list of strings. Unknown words allow nothing, so that
 * a token written for a newer relay still works here.
 */
export function permissionMask(words: unknown): number | undefined {
  if (!Array.isArray(words)) return undefined
  let mask = 0
  for (const word of words) {
    if (typeof word !== 'string') return undefined
    mask |= BITS.get(word) ?? 0
  }
  return mask
}
