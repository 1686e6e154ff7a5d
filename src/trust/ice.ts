import { readInline } from './inline.ts'
import { found, readFields, readJson, readList } from './shape.ts'
import { Wrong } from './wrong.ts'

/** STUN and TURN servers, and the secret that is shared with the latter. */
export interface Ice {
  readonly stun: readonly string[]
  readonly turn: readonly string[]
  /** Undefined if there is no TURN server. */
  readonly secret: string | undefined
  /** Seconds that a credential is good for. */
  readonly ttl: number
}

// RFC 7064 and 7065. Browsers refuse a whole RTCPeerConnection for one URL that is none, so say it here.
const HOST = String.raw`(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?`
const STUN = new RegExp(`^stuns?:${HOST}$`)
const TURN = new RegExp(String.raw`^turns?:${HOST}(?:\?transport=(?:udp|tcp))?$`)
// Whoever has one credential can try secrets on it at leisure. What coturn's file takes: text without spaces.
const SECRET = /^[\x21-\x7e]{16,256}$/
const TTL = { least: 60, fallback: 3600, most: 86_400 }

/** Returns what `{"urls":[…],"secret":"…","ttl":3600}` says. Throws Wrong. */
export function readIce(value: unknown, where: string): Ice {
  const at = (name: string): string => (where === '' ? name : `${where}.${name}`)
  const fields = readFields(value, where, ['urls', 'secret', 'ttl'])
  const urls = readList(fields['urls'], at('urls')).map((url, index) => readUrl(url, `${at('urls')}[${index}]`))
  if (urls.length === 0) throw new Wrong(at('urls'), 'expected at least one URL, found none')
  const turn = urls.filter(url => url.startsWith('turn'))
  const stun = urls.filter(url => !url.startsWith('turn'))
  return {
    stun,
    turn,
    secret: readSecret(fields['secret'], at('secret'), turn),
    ttl: readTtl(fields['ttl'], at('ttl')),
  }
}

/** Returns the servers for sites that name none, from a path or from the JSON itself. Throws a TrustConfigError. */
export async function readNodeIce(given: string | undefined): Promise<Ice | undefined> {
  return given === undefined ? undefined : readInline('THROUGHLINE_ICE', given, bytes => readIce(readJson(bytes), ''))
}

function readUrl(value: unknown, where: string): string {
  if (typeof value === 'string' && (STUN.test(value) || TURN.test(value))) return value
  const example = 'expected a URL such as turn:turn.example.com:3478?transport=udp or stun:turn.example.com:3478'
  throw new Wrong(where, `${example}, without slashes, found something else`)
}

function readSecret(value: unknown, where: string, turn: readonly string[]): string | undefined {
  if (value === undefined && turn.length === 0) return undefined
  if (turn.length === 0) throw new Wrong(where, 'expected none, since no URL begins with turn: or turns:')
  if (typeof value === 'string' && SECRET.test(value)) return value
  const what = typeof value === 'string' ? 'another string' : found(value)
  throw new Wrong(
    where,
    `expected coturn's static-auth-secret, 16 to 256 ASCII characters without spaces, found ${what}`,
  )
}

function readTtl(value: unknown = TTL.fallback, where: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= TTL.least && (value as number) <= TTL.most) {
    return value as number
  }
  throw new Wrong(where, `expected whole seconds, ${TTL.least} to ${TTL.most}, found ${found(value)}`)
}
