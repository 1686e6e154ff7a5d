/** How often a property is read so that V8 keeps an inline cache for it: once was not enough, 1,000 times were. */
const READS = 2000

/**
 * Gives V8 back its fast way to the methods of strings. To be called when everything has been imported. `class … extends
 * String`, as ioredis 6 has one, makes a hash table of String.prototype, and from then on every `charCodeAt`, `slice` or
 * `startsWith` in the process is looked up in it, also by compiled code. Reading a property through an object that inherits
 * from it, with an inline cache, makes it fast again. Returns nothing of interest: the sum keeps the reads alive.
 */
export function keepStringsFast(): number {
  const object = Object('text') as string
  let sum = 0
  for (let i = 0; i < READS; i++) sum += object.length
  return sum
}
