type Told = string | { readonly token: string } | null | undefined

/** The hub asks at once if it has no session yet; later a page that asks for a refresh wants another one. */
const KEPT_MS = 1000

/**
 * Finds out whom a page is for: by its token, for that alone says it surely. Sharing is then among pages of one site
 * and user, even if the browser was signed out and in again, or two sites of one relay stand on one origin.
 */
export function withIdentity<T extends Told>(source: T | (() => T | Promise<T>)) {
  let first: Promise<T> | undefined
  let until = 0
  const ask = async (): Promise<T> => (typeof source === 'function' ? source() : source)
  /** Returns `site/user`; '' if there is no token. */
  const identity = async (): Promise<string> => {
    first = ask()
    until = performance.now() + KEPT_MS
    const told = await first
    return identityOf(typeof told === 'string' ? told : (told?.token ?? ''))
  }
  /** Returns a token; the one that told the identity, if it is asked for soon after. */
  const token = (): Promise<T> => {
    const told = first && performance.now() < until ? first : ask()
    first = undefined
    return told
  }
  return { identity, token }
}

/** Nothing is verified: that is the relay's. */
export function identityOf(token: string): string {
  try {
    const claims = atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'))
    const { iss, sub } = JSON.parse(claims) as { iss?: string; sub?: string | number }
    return iss === undefined || sub === undefined ? '' : `${iss}/${sub}`
  } catch {
    return ''
  }
}
