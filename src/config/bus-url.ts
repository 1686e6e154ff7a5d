import type { HostPort, Login, RedisAddress } from '../redis/address.ts'
import { parseListen } from './listen.ts'

/** Everything in one process. */
export interface MemoryBus {
  readonly kind: 'memory'
}

// A list of hosts is no URL (RFC 3986 has one authority with one port), so the parts are cut by hand. A raw / ? or # in
// the password is refused: a URL parser would end the authority there, and the rest of the password would be a host.
const REDIS = /^(rediss?|redis\+sentinel|redis\+cluster):\/\/(?:([^/?#]*)@)?([^@/?#]+)(?:\/([^/?#]*))?$/

/** Returns what THROUGHLINE_BUS names, or undefined. */
export function parseBus(text: string): MemoryBus | RedisAddress | undefined {
  if (text === 'memory') return { kind: 'memory' }
  const [, scheme, user, hosts = '', path = ''] = REDIS.exec(text) ?? []
  const login = parseLogin(user)
  if (login === undefined) return undefined
  if (scheme === 'redis' || scheme === 'rediss') return parseSingle(text, hosts, path)
  const nodes = parseHosts(hosts)
  if (nodes === undefined) return undefined
  if (scheme === 'redis+cluster') return path === '' ? { kind: 'cluster', nodes, login } : undefined
  // The alphabet is Redis' own: Sentinel refuses other names.
  return /^[A-Za-z0-9._-]+$/.test(path) ? { kind: 'sentinel', sentinels: nodes, name: path, login } : undefined
}

function parseSingle(url: string, hosts: string, path: string): RedisAddress | undefined {
  const withPort = /:\d+$/.test(hosts) ? hosts : `${hosts}:6379`
  const known = parseHosts(withPort)?.length === 1 && /^\d{0,5}$/.test(path) && URL.canParse(url)
  return known ? { kind: 'single', url } : undefined
}

function parseHosts(text: string): HostPort[] | undefined {
  const nodes = text.split(',').map(host => parseListen(host))
  return nodes.every(node => node !== undefined && node.port > 0) ? (nodes as HostPort[]) : undefined
}

/** A user without a password is refused: Redis has no such login, so half of it was forgotten. */
function parseLogin(text: string | undefined): Login | undefined {
  if (text === undefined) return {}
  const colon = text.indexOf(':')
  if (colon < 0 || colon === text.length - 1) return undefined
  try {
    const username = decodeURIComponent(text.slice(0, colon))
    const password = decodeURIComponent(text.slice(colon + 1))
    return username === '' ? { password } : { username, password }
  } catch {
    return undefined // a % that encodes nothing
  }
}

/**
 * Returns scheme, hosts and ports of a wrong bus URL, and nothing that may be a password: that can stand before an @,
 * but also where a host, a port or a database belongs, if the @ itself was forgotten.
 */
export function redactBus(text: string): string {
  const [, scheme = '', rest = ''] = /^([a-z+]*:\/\/)?(.*)$/s.exec(text) ?? []
  const at = rest.lastIndexOf('@') + 1
  const end = rest.slice(at).search(/[/?#]/)
  const hosts = end < 0 ? rest.slice(at) : `${rest.slice(at, at + end)}/***`
  return `${scheme}${at > 0 ? '***@' : ''}${hosts.replace(/(?:^|,):.*|:(?!\d{1,5}(?:[,/]|$)).*/s, ':***')}`
}
