import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { EventId, SiteId, ThreadId, UserId } from '../protocol/ids.ts'

/** Who is to be told that an event was delivered. It travels with the event and back, and is stored nowhere. */
export interface ReturnAddress {
  readonly site: SiteId
  readonly to: UserId
  readonly event: EventId
  readonly thread: ThreadId | undefined
  /** Seconds since the epoch. */
  readonly expires: number
}

/** 256 bits, the same on all nodes. */
export type SealKey = Buffer

const CIPHER = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/**
 * Seals a return address (AES-256-GCM, NIST SP 800-38D): clients can neither read nor make one. With random nonces a key
 * is good for 2^32 of them.
 */
export function seal({ site, to, event, thread, expires }: ReturnAddress, key: SealKey): string {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv(CIPHER, key, nonce)
  const text = JSON.stringify([site, to, event, expires, thread])
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Returns what was sealed; undefined when it was not sealed with this key. */
export function unseal(text: string, key: SealKey): ReturnAddress | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length <= NONCE + TAG) return undefined
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAuthTag(bytes.subarray(-TAG))
  try {
    const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()])
    const [site, to, event, expires, thread] = JSON.parse(opened.toString()) as [
      SiteId,
      UserId,
      EventId,
      number,
      (ThreadId | null)?,
    ]
    return { site, to, event, thread: thread ?? undefined, expires }
  } catch {
    return undefined
  }
}
