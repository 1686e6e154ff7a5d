import { randomFillSync } from 'node:crypto'

// A call for random bytes costs the same for 16 as for 4,096, and there is an id per event.
const pool = Buffer.alloc(4096)
let used = pool.length

/** Returns `bytes` random bytes (4,096 at most) as base64url (RFC 4648 §5): safe in ids, paths and headers. */
export function randomId(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  return pool.toString('base64url', used - bytes, used)
}
