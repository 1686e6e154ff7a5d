import { isIPv4, isIPv6 } from 'node:net'

/** Where a port listens. Port 0 lets the system choose. */
export interface Listen {
  readonly host: string
  readonly port: number
}

const LISTEN = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/

/** Returns host and port of `host:port` or `[IPv6]:port`, or undefined. */
export function parseListen(text: string): Listen | undefined {
  const [, ipv6, name, digits] = LISTEN.exec(text) ?? []
  const host = ipv6 ?? name ?? ''
  const port = Number(digits)
  return isHost(host, ipv6 !== undefined) && port <= 65_535 ? { host, port } : undefined
}

/** Returns what parseListen reads. */
export function listenText({ host, port }: Listen): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function isHost(host: string, bracketed: boolean): boolean {
  if (bracketed) return isIPv6(host)
  // Digits and dots alone are an address with a slip, such as 0.0.0: no resolver would find it.
  return /^[\d.]+$/.test(host) ? isIPv4(host) : NAME.test(host)
}
