import type { SiteId } from '../protocol/ids.ts'
import { parseJson } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { chainTopic, type Topic } from '../protocol/topic.ts'
import { readOnly } from './fields.ts'

const CHAINS = 1000

/** Reads `{"chains": […]}`: topics by the names that the origin gave, without doubles. Throws a Refusal that points to what is wrong. */
export function readChains(site: SiteId, body: Buffer): Map<string, Topic> {
  const { chains } = readOnly(parseJson(body, 'batch'), ['chains'])
  if (!Array.isArray(chains) || chains.length === 0 || chains.length > CHAINS) {
    throw new Refusal('bad_field', `chains is a list of 1 to ${CHAINS}`, { pointer: '/chains' })
  }
  return new Map(
    chains.map((name, i) => {
      const topic = chainTopic(site, name)
      if (topic === undefined) throw new Refusal('bad_chain', undefined, { pointer: `/chains/${i}` })
      return [name as string, topic]
    }),
  )
}
