/** What Web Crypto takes: bytes that no other thread can change. */
export type Bytes = Uint8Array<ArrayBuffer>

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text)
}

export function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length))
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Joins fields, each behind its length in four bytes: no two different lists give the same bytes. */
export function pack(...fields: readonly (string | Uint8Array)[]): Bytes {
  const parts = fields.map(field => (typeof field === 'string' ? utf8(field) : field))
  return concat(...parts.flatMap(part => [lengthOf(part), part]))
}

function lengthOf({ length }: Uint8Array): Bytes {
  return Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length)
}

export function toBase64url(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** Returns undefined for what is no text, has another length in bytes, or is not written as `toBase64url` writes it. */
export function fromBase64url(text: unknown, length?: number): Bytes | undefined {
  if (typeof text !== 'string' || (length !== undefined && text.length !== Math.ceil((length * 4) / 3)))
    return undefined
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, character => character.charCodeAt(0))
    // atob is lenient, and a second way to write the same bytes would be a change that nobody sees.
    return toBase64url(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}
