import type { Refusal } from './frames.ts'

/**
 * What went wrong, with a stable `code`: one of the relay's (docs/errors.md), or one of the client's own
 * (docs/client.md).
 */
export class RelayError extends Error {
  override readonly name = 'RelayError'
  readonly code: string
  /** Seconds to wait before trying again, if the relay said so. */
  readonly retryAfter: number | undefined

  constructor({ code, message, retry_after }: Refusal) {
    super(message)
    this.code = code
    this.retryAfter = retry_after
  }
}

/** Returns what the client itself has to say: the code tells all (docs/client.md). */
export const own = (code: string): Refusal => ({ code, message: code })

/** Returns an error in a form that can go to another tab; one that is not the relay's gets `code`. */
export const refusalOf = (error: unknown, code?: string): Refusal =>
  error instanceof RelayError
    ? { code: error.code, message: error.message, retry_after: error.retryAfter }
    : { code: code!, message: String(error) }
