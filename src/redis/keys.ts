import type { EventId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'

/** Keys and channels are spread over this many hash tags, so that work on many chains is tens of commands, not thousands. */
export const PARTITIONS = 128
const SLOTS = 16384

/**
 * Every name in Redis, for one deployment. A name is `prefix:{tag}:kind:…`; what stands in braces decides the cluster's
 * slot, so a chain's head, era, ids and channel live together and one script can work on them.
 */
export class Keys {
  readonly #starts: readonly string[]
  readonly #channelStart: number

  constructor(prefix: string) {
    this.#starts = TAGS.map(tag => `${prefix}:{${tag}}:`)
    // All tags have the same length, so a topic always starts at the same place in a channel's name.
    this.#channelStart = this.#starts[0]!.length + 2
  }

  head(topic: Topic): string {
    return `${this.#start(topic)}h:${topic}`
  }

  channel(topic: Topic): string {
    return `${this.#start(topic)}c:${topic}`
  }

  /** Returns the topic of a name that `channel` made. */
  topicOf(channel: string): Topic {
    return channel.slice(this.#channelStart) as Topic
  }

  seen(topic: Topic, id: EventId): string {
    return `${this.#start(topic)}i:${topic} ${id}`
  }

  /** What was taken back from the user whose topic it is. */
  revocations(topic: Topic): string {
    return `${this.#start(topic)}r:${topic}`
  }

  presence(topic: Topic): string {
    return `${this.#start(topic)}p:${topic}`
  }

  /** What a node has set in a partition. */
  presenceOfNode(partition: number, node: string): string {
    return `${this.#starts[partition]!}n:${node}`
  }

  /** The newest licence of the site whose topic it is. */
  licence(topic: Topic): string {
    return `${this.#start(topic)}v:${topic}`
  }

  /** The nodes that have set something in a partition. */
  presenceNodes(partition: number): string {
    return `${this.#starts[partition]!}nodes`
  }

  /** Receipts to a user that have counted, by the hour in which they end. */
  told(topic: Topic, hour: number): string {
    return `${this.#start(topic)}d:${topic} ${hour}`
  }

  /** What receipts are sealed with. */
  sealKey(): string {
    return `${this.#starts[0]!}seal`
  }

  /** What callbacks are signed with, if no key is configured, */
  callbackKey(): string {
    return `${this.#starts[0]!}callback-key`
  }

  /** and the public keys of all that were in use lately. */
  callbackKeys(): string {
    return `${this.#starts[0]!}callback-keys`
  }

  /** Nodes by the end of their lease, */
  living(): string {
    return `${this.#starts[0]!}living`
  }

  /** and those that have lost it. */
  dead(): string {
    return `${this.#starts[0]!}dead`
  }

  era(partition: number): string {
    return `${this.#starts[partition]!}e`
  }

  /** What nodes use of a site's limits. */
  usage(site: Topic): string {
    return `${this.#start(site)}l:${site}`
  }

  /** What the site whose topic it is is to be told: facts, states, versions, work, and what `callbackSites` returns. */
  callbacks(site: Topic): readonly string[] {
    const start = this.#start(site)
    return [...['f', 'g', 'w', 'b'].map(kind => `${start}${kind}:${site}`), ...this.callbackSites(partitionOf(site))]
  }

  /** A partition's sites with work, and those that are paused. */
  callbackSites(partition: number): readonly string[] {
    const start = this.#starts[partition]!
    return [`${start}b`, `${start}paused`]
  }

  /** The channel on which a node hears itself, so that it knows that its bus works. */
  tick(partition: number, node: string): string {
    return `${this.#starts[partition]!}t:${node}`
  }

  #start(topic: Topic): string {
    return this.#starts[partitionOf(topic)]!
  }
}

/** FNV-1a: quick, and spreads short names well. Part of the cluster's agreement: changing it parts old nodes from new ones. */
export function partitionOf(topic: Topic): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < topic.length; i++) hash = Math.imul(hash ^ topic.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % PARTITIONS
}

/** The hash slot of a partition in Redis Cluster. */
export function slotOf(partition: number): number {
  return crc16(TAGS[partition]!) % SLOTS
}

// One tag for each 128th of the slots, so that masters which share the slots evenly share the partitions evenly too;
// tags "0" to "127" would not (Redis' slots are contiguous ranges, and CRC16 of short names clusters).
const TAGS = balancedTags()

function balancedTags(): string[] {
  const tags = Array.from<string | undefined>({ length: PARTITIONS })
  let missing = PARTITIONS
  for (let n = 0; missing > 0; n++) {
    const tag = n.toString(36).padStart(3, '0')
    const partition = Math.floor((crc16(tag) % SLOTS) / (SLOTS / PARTITIONS))
    if (tags[partition] === undefined) {
      tags[partition] = tag
      missing--
    }
  }
  return tags as string[]
}

/** CRC-16/XMODEM, as Redis Cluster's specification has it. */
function crc16(text: string): number {
  let crc = 0
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i) << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}
