import type { Refusal } from './frames.ts'

/**
 * What went wrong, with a stable `code`: one of the relay's (docs/errors.md), or one of the client's own: `timeout`,
 * `closed`, `disconnected`, `not_connected`, `token_callback`, `bad_frame`.
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

export const refusal = (code: string, message: string): Refusal => ({ code, message })

/** Returns an error in a form that can go to another tab. */
export function refusalOf(error: unknown, code: string): Refusal {
  if (!(error instanceof RelayError)) return refusal(code, String((error as Error | undefined)?.message ?? error))
  const { message, retryAfter } = error
  return { code: error.code, message, ...(retryAfter !== undefined && { retry_after: retryAfter }) }
}
