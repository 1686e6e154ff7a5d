import { randomId } from '../lib/random.ts'
import type { SiteId, UserId } from '../protocol/ids.ts'
import { siteTopic } from '../protocol/topic.ts'
import type { Keys } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'

/** What a node uses of one site's limits. */
export interface Usage {
  readonly connections: number
  /** Events published, and deliveries made, since the node began to count. */
  readonly published: number
  readonly delivered: number
  /** Connections of users who have many here. */
  readonly users: readonly (readonly [UserId, number])[]
}

/** How nodes tell each other what a site uses. */
export interface UsageShare {
  /** Tells what this node uses, and returns by node what the others told in the last seconds. Rejects when it cannot. */
  exchange(site: SiteId, own: Usage): Promise<ReadonlyMap<string, Usage>>
}

const SHARE = loadScript('limits/share')
/** Milliseconds that what a node told counts: a dead node's connections are gone. */
const COUNTS = 5000

/** Through Redis: one command for each site and second, see share.lua. */
export class RedisShare implements UsageShare {
  readonly #link: RedisLink
  readonly #keys: Keys
  readonly #node = randomId(9)

  constructor(link: RedisLink, keys: Keys) {
    this.#link = link
    this.#keys = keys
  }

  async exchange(site: SiteId, own: Usage): Promise<ReadonlyMap<string, Usage>> {
    const told = JSON.stringify([own.connections, own.published, own.delivered, own.users])
    const answer = await this.#link.run(SHARE, [this.#keys.usage(siteTopic(site))], [this.#node, told, COUNTS])
    const others = new Map<string, Usage>()
    for (const [node, told] of answer as [string, string][]) others.set(node, readUsage(told))
    return others
  }
}

/** Nodes of one deployment believe each other. */
function readUsage(told: string): Usage {
  const [connections, published, delivered, users] = JSON.parse(told) as [number, number, number, [UserId, number][]]
  return { connections, published, delivered, users }
}
