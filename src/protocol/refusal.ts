import { CODES, type Code } from './codes.ts'
import type { SiteId } from './ids.ts'

interface Details {
  /** Seconds after which the same call may succeed. */
  retryAfter?: number
  /** JSON Pointer (RFC 6901) to the offending field. */
  pointer?: string
  /** Leaves a WebSocket open although the code would close it: the frame was well-formed, and only what it asked is too much. */
  keepOpen?: boolean
  /** Whose call or token it was, if that site exists: to be counted, and told to nobody. */
  site?: SiteId
}

/**
 * Our "no": expected, counted by code and told to the peer, never a stack in the log. Anything else that is thrown is
 * a bug or an outage.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: Code
  readonly retryAfter: number | undefined
  readonly pointer: string | undefined
  readonly keepOpen: boolean
  site: SiteId | undefined

  constructor(code: Code, detail?: string, { retryAfter, pointer, keepOpen = false, site }: Details = {}) {
    super(detail === undefined ? CODES[code].says : `${CODES[code].says} (${detail})`)
    this.code = code
    this.retryAfter = retryAfter
    this.pointer = pointer
    this.keepOpen = keepOpen
    this.site = site
  }
}
