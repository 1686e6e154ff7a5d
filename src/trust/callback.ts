import { found, readFields } from './shape.ts'
import { readTypes } from './types.ts'
import { Wrong } from './wrong.ts'

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
// Standard Webhooks, "Signature scheme": the secret is 24 to 64 bytes.
const SECRET_BYTES = { least: 24, most: 64 }

/** Checks the shape of a site's `callback`. Throws Wrong. A secret may only stand where no browser sees it. */
export function checkCallback(value: unknown, where: string, secretAllowed: boolean): void {
  const known = secretAllowed ? ['url', 'events', 'data', 'secret'] : ['url', 'events', 'data']
  const { url, events, data, secret } = readFields(value, where, known)
  checkUrl(url, `${where}.url`)
  readTypes(events, `${where}.events`)
  if (data !== undefined && typeof data !== 'boolean') {
    throw new Wrong(`${where}.data`, `expected true or false, found ${found(data)}`)
  }
  if (Array.isArray(secret)) {
    if (secret.length === 0) throw new Wrong(`${where}.secret`, 'expected at least one secret, found none')
    for (const [index, one] of secret.entries()) checkSecret(one, `${where}.secret[${index}]`)
  } else if (secret !== undefined) checkSecret(secret, `${where}.secret`)
}

function checkUrl(value: unknown, where: string): void {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Wrong(where, 'expected a URL that begins with https://, found something else')
  }
  if (url.username !== '' || url.password !== '') {
    throw new Wrong(where, 'expected a URL without a user and password, found one with; callbacks are signed instead')
  }
  if (url.hash !== '') throw new Wrong(where, 'expected a URL without a fragment (#…), found one with')
}

function checkSecret(value: unknown, where: string): void {
  const base64 = typeof value === 'string' ? SECRET.exec(value)?.[1] : undefined
  const length = Buffer.from(base64 ?? '', 'base64').length
  if (length < SECRET_BYTES.least || length > SECRET_BYTES.most) {
    throw new Wrong(where, `expected whsec_ and ${SECRET_BYTES.least} to ${SECRET_BYTES.most} bytes in base64`)
  }
}
