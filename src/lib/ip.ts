import { isIPv4, isIPv6 } from 'node:net'

const GROUPS = 8

/**
 * Returns an address in the one way in which we write it, or undefined when `text` is none: IPv4 dotted, IPv6 as eight
 * groups without leading zeros. IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) is IPv4. A zone (`%eth0`) means something on one
 * machine only, and is no part of an address.
 */
export function parseIp(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text) || text.includes('%')) return undefined
  const [before = '', after] = groupsOf(text)
  const left = before === '' ? [] : before.split(':')
  const right = after === undefined || after === '' ? [] : after.split(':')
  const zeros = Array.from({ length: GROUPS - left.length - right.length }, () => '0')
  return fromGroups([...left, ...zeros, ...right].map(group => parseInt(group, 16)))
}

/** Returns what of an address one customer has: for IPv6 its /64, since each host may use any address in it. */
export function networkOf(ip: string): string {
  return ip.includes(':') ? `${ip.split(':', 4).join(':')}::/64` : ip
}

/** Splits at `::`, and turns dotted digits at the end into two groups. */
function groupsOf(text: string): string[] {
  const dots = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (dots === null) return text.split('::')
  const [a = 0, b = 0, c = 0, d = 0] = dots.slice(1).map(Number)
  const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  return (text.slice(0, dots.index) + groups).split('::')
}

function fromGroups(groups: readonly number[]): string {
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every(group => group === 0)
  if (!mapped) return groups.map(group => group.toString(16)).join(':')
  const [high = 0, low = 0] = groups.slice(6)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
