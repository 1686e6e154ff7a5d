import { BlockList, isIPv6 } from 'node:net'
import type * as UWS from 'uws-20.56'
import { networkOf, parseIp } from '../lib/ip.ts'
import type { Peer } from '../limits/addresses.ts'
import type { Log } from '../observe/log.ts'

const LOOPBACK_V6 = '0:0:0:0:0:0:0:1'
const PRIVATE = blockList(['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '::1/128', 'fc00::/7'])
const UNKNOWN: Peer = { address: 'unknown', network: undefined }

/** Tells where a socket comes from. What a proxy says counts only if the operator trusts it: anybody can say anything. */
export class PeerAddresses {
  readonly #trusted: BlockList | undefined
  readonly #log: Log
  #warned = false

  /** `trusted` are the CIDRs of THROUGHLINE_TRUST_PROXY. */
  constructor(trusted: readonly string[], log: Log) {
    this.#trusted = trusted.length === 0 ? undefined : blockList(trusted)
    this.#log = log
  }

  /** Returns whom an upgrade is from. To be called in its handler. */
  of(response: UWS.HttpResponse, request: UWS.HttpRequest): Peer {
    const socket = readIp(response.getRemoteAddressAsText())
    if (socket === undefined) return UNKNOWN
    if (!this.#trusts(socket)) {
      if (!this.#warned) this.#warn(socket, request)
      return limited(socket)
    }
    const client = this.#behind(response, request)
    // A proxy that tells nothing is not limited: behind it stands everybody.
    return client === undefined ? { address: socket, network: undefined } : limited(client)
  }

  /** Returns whom a trusted proxy speaks for, undefined if that cannot be made out. */
  #behind(response: UWS.HttpResponse, request: UWS.HttpRequest): string | undefined {
    // A PROXY protocol header stands before the request, so it is from the proxy that is nearest to us.
    const proxied = readIp(response.getProxiedRemoteAddressAsText())
    if (proxied !== undefined && !this.#trusts(proxied)) return proxied
    // getHeader would return the first line of several; the last is the nearest proxy's, the first may be the client's.
    const lines: string[] = []
    request.forEach((name, value) => {
      if (name === 'x-forwarded-for') lines.push(value)
    })
    return this.#nearestUntrusted(lines.join(','))
  }

  /** Returns the right-most address that is no trusted proxy: what stands left of it, the client may have written. */
  #nearestUntrusted(forwarded: string): string | undefined {
    for (let end = forwarded.length; end > 0; ) {
      const comma = forwarded.lastIndexOf(',', end - 1)
      const address = parseEntry(forwarded.slice(comma + 1, end).trim())
      if (address === undefined || !this.#trusts(address)) return address
      end = comma
    }
    return undefined
  }

  #trusts(address: string): boolean {
    return this.#trusted !== undefined && contains(this.#trusted, address)
  }

  #warn(socket: string, request: UWS.HttpRequest): void {
    if (request.getHeader('x-forwarded-for') === '' || !contains(PRIVATE, socket)) return
    this.#warned = true
    this.#log.warn(
      { address: socket },
      'a proxy sends X-Forwarded-For and is not believed, so all its clients count as one address: name it in THROUGHLINE_TRUST_PROXY',
    )
  }
}

/** This machine is not limited: it is a proxy's, or a test's. */
function limited(address: string): Peer {
  const own = address.startsWith('127.') || address === LOOPBACK_V6
  return { address, network: own ? undefined : networkOf(address) }
}

function readIp(text: ArrayBuffer): string | undefined {
  return parseIp(Buffer.from(text).toString('latin1'))
}

/** Reads an entry of X-Forwarded-For: an address, which some proxies put in brackets or write with its port. */
function parseEntry(entry: string): string | undefined {
  const [, bracketed, dotted] = /^\[([^\]]*)\](?::\d{1,5})?$|^([\d.]+):\d{1,5}$/.exec(entry) ?? []
  return parseIp(bracketed ?? dotted ?? entry)
}

function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [net = '', bits = ''] = cidr.split('/')
    list.addSubnet(net, Number(bits), isIPv6(net) ? 'ipv6' : 'ipv4')
  }
  return list
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}
