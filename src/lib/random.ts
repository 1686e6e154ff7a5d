import { randomBytes } from 'node:crypto'

/** Returns `bytes` random bytes as base64url (RFC 4648 §5): safe in ids, paths and headers. */
export function randomId(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
