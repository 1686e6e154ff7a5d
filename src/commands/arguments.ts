import { parseSiteId, type SiteId } from '../protocol/ids.ts'
import { UsageError } from './command.ts'

/** Returns the value of an option that must be given. */
export function need<T>(value: T | undefined, option: string): T {
  if (value === undefined) throw new UsageError(`${option} is missing`)
  return value
}

/** Returns what `parse` makes of an option's value, or says what was expected. */
export function parsed<T>(text: string, option: string, parse: (text: string) => T | undefined, expected: string): T {
  const value = parse(text)
  if (value === undefined) throw new UsageError(`${option} ${JSON.stringify(text)} is not ${expected}`)
  return value
}

/** Returns what `use` makes of an option's value, if the option was given. */
export function ifGiven<A, B>(value: A | undefined, use: (value: A) => B): B | undefined {
  return value === undefined ? undefined : use(value)
}

export const ID = '1 to 128 of A-Z a-z 0-9 _ . : @ -'

export function siteId(text: string, option: string): SiteId {
  return parsed(text, option, parseSiteId, 'a site id: 1 to 63 of a-z 0-9 -, not starting with -')
}

/** Returns web origins as browsers send them. They are compared exactly (CONTRACT 14), so `https://example.com/` would never match. */
export function webOrigins(texts: readonly string[] | undefined): readonly string[] {
  return need(texts, '--origin URL').map(text => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new UsageError(`--origin ${JSON.stringify(text)} is not a web origin such as https://example.com`)
    }
    if (url.origin !== text) {
      throw new UsageError(`--origin ${JSON.stringify(text)} is not how a browser writes it; use ${url.origin}`)
    }
    return text
  })
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Returns the seconds of `90s`, `10m`, `1h` or `365d`, which may not be more than `most`. */
export function duration(text: string, option: string, most: string): number {
  const seconds = parsed(text, option, parseDuration, 'a time such as 90s, 10m, 1h or 30d')
  if (seconds > parsed(most, option, parseDuration, 'a time')) throw new UsageError(`${option} may be ${most} at most`)
  return seconds
}

function parseDuration(text: string): number | undefined {
  const [, digits, unit = ''] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * (SECONDS[unit] ?? 0)
}
