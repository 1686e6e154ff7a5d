import { type Bytes, pack, toBase64url } from './bytes.ts'

export const SECRET_BYTES = 32

/** A key of a thread, and who has it. */
export interface Epoch {
  /** Commits to the secret, the thread and the number: nobody can find two epochs with one id. */
  readonly kid: string
  readonly n: number
  readonly secret: Bytes
  /** The secret as Web Crypto has it, for HKDF. */
  readonly key: CryptoKey
  /** The ids of the devices that are known to have the key. */
  readonly roster: Set<string>
}

export async function openEpoch(thread: string, n: number, secret: Bytes, roster: Iterable<string>): Promise<Epoch> {
  const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits', 'deriveKey'])
  const info = pack('throughline e2e 1 key id', thread, String(n))
  const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }, key, 256)
  return { kid: toBase64url(new Uint8Array(bits)), n, secret, key, roster: new Set(roster) }
}

/**
 * Returns the epoch to seal with: the newest that only members have. Of those that were made at the same time the one that
 * more devices have wins, then the smaller id, so that members who know the same choose the same.
 */
export function pick(epochs: Iterable<Epoch>, members: ReadonlySet<string>, floor: number): Epoch | undefined {
  let best: Epoch | undefined
  for (const epoch of epochs) {
    if (epoch.n < floor || [...epoch.roster].some(id => !members.has(id))) continue
    const order = best && (epoch.n - best.n || epoch.roster.size - best.roster.size || (epoch.kid < best.kid ? 1 : -1))
    if (order === undefined || order > 0) best = epoch
  }
  return best
}
