import type { Published } from '../hub/publish.ts'
import type { UserId } from '../protocol/ids.ts'
import { chainName } from '../protocol/topic.ts'

/**
 * Returns what a publish call is answered, as JSON. Written out, since an object with a chain's name for a key would get a
 * shape of its own in V8, for each chain. Ids need no JSON escaping: see their alphabet in protocol/ids.ts.
 */
export function publishedJson({ id, chains, placed }: Published, online?: Readonly<Record<UserId, boolean>>): string {
  const stamps = chains.map((topic, i) => `"${chainName(topic)}":${placed[i]!.stamp}`)
  const duplicate = placed.every(place => place.duplicate) ? ',"duplicate":true' : ''
  const report = online === undefined ? '' : `,"online":${JSON.stringify(online)}`
  return `{"id":"${id}","stamps":{${stamps.join()}}${duplicate}${report}}`
}
