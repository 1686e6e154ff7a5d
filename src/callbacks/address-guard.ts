import type { LookupAddress } from 'node:dns'
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Names } from './names.ts'

/** Networks, each as address/bits. */
export type Cidrs = readonly string[]

/** Returns all addresses of a name. Rejects with the error of node:dns. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

const names = new Names()

/** What a callback may not be sent to, and why, in words for whoever set its URL. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/**
 * Keeps callbacks away from what is not on the public internet: a URL is a site's word, and behind it might be the cloud's
 * metadata service or a neighbour's database (CONTRACT 33).
 */
export class AddressGuard {
  readonly #allow = new BlockList()
  readonly #resolve: Resolve

  constructor(allow: Cidrs, resolve: Resolve = names.resolve) {
    for (const cidr of allow) {
      const [address = '', bits] = cidr.split('/')
      this.#allow.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
    }
    this.#resolve = resolve
  }

  /**
   * Returns the addresses of a URL's host, all of them checked: a name with one that is refused is refused, since it is
   * not a site's server that has both. Rejects with an AddressRefused, or as `Resolve` does.
   */
  async addressesOf(url: URL): Promise<readonly LookupAddress[]> {
    const addresses = await this.resolve(url)
    for (const { address } of addresses) this.check(url.protocol, address)
    return addresses
  }

  /** Returns the same, unchecked. */
  async resolve(url: URL): Promise<readonly LookupAddress[]> {
    const host = hostOf(url)
    const family = isIP(host)
    return family === 0 ? this.#resolve(host) : [{ address: host, family }]
  }

  /** Throws an AddressRefused when nothing may be sent there. */
  check(protocol: string, address: string): void {
    const parsed = ipaddr.process(address)
    // As `process` has it, since BlockList does not see the IPv4 in ::ffff:10.0.0.1.
    if (this.#allow.check(parsed.toString(), parsed.kind())) return
    if (parsed.range() !== 'unicast') {
      throw new AddressRefused(
        `${address} is not on the public internet (${parsed.range()}); the relay's operator can allow it with THROUGHLINE_CALLBACK_ALLOW`,
      )
    }
    if (protocol !== 'https:') throw new AddressRefused('the URL of a callback begins with https://')
  }

  /**
   * Returns the lookup with which a connection is made: what was checked is what is connected to, so a name that resolves
   * to something else a moment later gains nothing. Node never asks it for an address that stands in the URL itself.
   */
  lookup(protocol: string): LookupFunction {
    return (host, { all }, done) => {
      this.addressesOf(new URL(`${protocol}//${host}`)).then(
        addresses =>
          all === true ? done(null, [...addresses]) : done(null, addresses[0]!.address, addresses[0]!.family),
        (error: Error) => done(error, []),
      )
    }
  }
}

/** Returns a URL's host as sockets take it: IPv6 without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
