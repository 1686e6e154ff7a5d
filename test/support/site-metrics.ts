import { readSamples } from '../../src/commands/top/samples.ts'
import type { Relay } from './relay.ts'

/** By site, then by the metric's name without `throughline_site_` and, after a space, its other label: `callbacks_total outcome=ok`. */
export type SiteSamples = Record<string, Record<string, number>>

/** Returns what a relay tells of its sites. */
export async function sites({ admin }: Relay): Promise<SiteSamples> {
  return samplesOf(await (await fetch(`${admin}/metrics/sites`)).text())
}

export function samplesOf(text: string): SiteSamples {
  const found: SiteSamples = {}
  for (const { name, labels, value } of readSamples(text)) {
    const { site = '', ...others } = labels
    const more = Object.entries(others).map(([label, value]) => ` ${label}=${value}`)
    ;(found[site] ??= {})[name.replace('throughline_site_', '') + more.join('')] = value
  }
  return found
}
