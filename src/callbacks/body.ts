import { randomId } from '../lib/random.ts'
import type { SiteId } from '../protocol/ids.ts'
import { CLOSE, type Fact } from './queue.ts'

/** Returns a fact as it stands in a body (DESIGN §10). `data` that leaves no room in any body is left out. */
export function factText({ id, type, at, thread, user, data }: Fact): string {
  const head = JSON.stringify({ id, type, at, thread, user })
  const text = data === undefined ? head : ascii(`${head.slice(0, -1)},"data":${data}}`)
  return text.length > CLOSE.bytes - OVERHEAD ? head : text
}

/** Returns the body of a batch. */
export function bodyOf(site: SiteId, texts: readonly string[]): string {
  return `{"site":"${site}","events":[${texts.join()}]}`
}

/** A site id has at most 63 characters. */
export const OVERHEAD = bodyOf('' as SiteId, []).length + 63

/** Escapes what is not ASCII: it can only stand within strings (RFC 8259 §7). Some firewalls garble what is not. */
function ascii(json: string): string {
  // eslint-disable-next-line no-control-regex
  return json.replaceAll(/[^\x00-\x7e]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Returns a new `webhook-id`. */
export function newBatchId(): string {
  return `msg_${randomId(18)}`
}
