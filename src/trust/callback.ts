import { found, readFields } from './shape.ts'
import { readTypes, type TypeList } from './types.ts'
import { Wrong } from './wrong.ts'

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
// Standard Webhooks, "Signature scheme": the secret is 24 to 64 bytes.
const SECRET_BYTES = { least: 24, most: 64 }

/** Where a site hears what happens to its users (DESIGN §10). */
export interface Callback {
  readonly url: string
  /** Of which types it wants to hear. */
  readonly events: TypeList
  /** Whether it wants the `data` of what clients send. */
  readonly data: boolean
  /** As Standard Webhooks writes them, the newest first; none for a site that goes by the relay's own signature. */
  readonly secrets: readonly string[]
}

/** Reads a site's `callback`. Throws Wrong. A secret may only stand where no browser sees it. */
export function readCallback(value: unknown, where: string, secretAllowed: boolean): Callback {
  const known = secretAllowed ? ['url', 'events', 'data', 'secret'] : ['url', 'events', 'data']
  const { url, events, data, secret } = readFields(value, where, known)
  if (data !== undefined && typeof data !== 'boolean') {
    throw new Wrong(`${where}.data`, `expected true or false, found ${found(data)}`)
  }
  return {
    url: readUrl(url, `${where}.url`),
    events: readTypes(events, `${where}.events`),
    data: data === true,
    secrets: readSecrets(secret, `${where}.secret`),
  }
}

function readSecrets(value: unknown, where: string): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) return [readSecret(value, where)]
  if (value.length === 0) throw new Wrong(where, 'expected at least one secret, found none')
  return value.map((one, index) => readSecret(one, `${where}[${index}]`))
}

function readUrl(value: unknown, where: string): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Wrong(where, 'expected a URL that begins with https://, found something else')
  }
  if (url.username !== '' || url.password !== '') {
    throw new Wrong(where, 'expected a URL without a user and password, found one with; callbacks are signed instead')
  }
  if (url.hash !== '') throw new Wrong(where, 'expected a URL without a fragment (#…), found one with')
  return url.href
}

function readSecret(value: unknown, where: string): string {
  const base64 = typeof value === 'string' ? SECRET.exec(value)?.[1] : undefined
  const length = Buffer.from(base64 ?? '', 'base64').length
  if (length < SECRET_BYTES.least || length > SECRET_BYTES.most) {
    throw new Wrong(where, `expected whsec_ and ${SECRET_BYTES.least} to ${SECRET_BYTES.most} bytes in base64`)
  }
  return value as string
}
