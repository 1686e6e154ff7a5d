import { createHmac, type KeyObject, sign } from 'node:crypto'

/** What callbacks of a site are signed with. */
export interface Signer {
  /** As the site file has them, `whsec_…`: several while one takes another's place. */
  readonly secrets: readonly string[]
  /** The relay's own, Ed25519 and private. */
  readonly key: KeyObject
}

const SECRET_PREFIX = 'whsec_'

/**
 * Returns the headers that sign a body (Standard Webhooks, "Signature scheme"): a `v1` signature for each secret and a
 * `v1a` signature by the relay, which a site without a secret verifies. Any one of them is enough to whoever verifies.
 */
export function signatureHeaders(
  { secrets, key }: Signer,
  id: string,
  timestampSeconds: number,
  body: string,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const content = Buffer.from(`${id}.${timestampSeconds}.${body}`)
  const signatures = secrets.map(secret => `v1,${hmac(secret, content)}`)
  signatures.push(`v1a,${sign(null, content, key).toString('base64')}`)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
  }
}

function hmac(secret: string, content: Buffer): string {
  const bytes = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
  return createHmac('sha256', bytes).update(content).digest('base64')
}
