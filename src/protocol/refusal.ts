import { CODES, type Code } from './codes.ts'

interface Details {
  /** Seconds after which the same call may succeed. */
  retryAfter?: number
  /** JSON Pointer (RFC 6901) to the offending field. */
  pointer?: string
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

  constructor(code: Code, detail?: string, { retryAfter, pointer }: Details = {}) {
    super(detail === undefined ? CODES[code].says : `${CODES[code].says} (${detail})`)
    this.code = code
    this.retryAfter = retryAfter
    this.pointer = pointer
  }
}
