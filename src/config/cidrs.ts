import { isIPv4, isIPv6 } from 'node:net'

/** Returns the networks of a comma-separated list, each as address/bits; none for `none`, undefined when one is not a network. */
export function parseCidrs(text: string): readonly string[] | undefined {
  if (text === 'none') return []
  const cidrs = text.split(',').map(part => parseCidr(part.trim()))
  return cidrs.every(cidr => cidr !== undefined) ? cidrs : undefined
}

function parseCidr(text: string): string | undefined {
  const [, address = '', bits] = /^([\d.]+|[\da-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : undefined
  if (most === undefined || Number(bits ?? most) > most) return undefined
  return `${address}/${bits ?? most}`
}
