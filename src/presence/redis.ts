import type { Bus } from '../bus/bus.ts'
import { chunks, groupBy } from '../lib/arrays.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { type Keys, PARTITIONS, partitionOf } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'
import { Lease } from './lease.ts'
import {
  type Change,
  type Entry,
  MOST,
  type PresenceStore,
  type Present,
  type Snapshot,
  type StoreListener,
} from './store.ts'

export interface RedisPresenceOptions {
  readonly link: RedisLink
  readonly keys: Keys
  readonly bus: Bus
  readonly log: Log
}

const SET = loadScript('presence/set')
const READ = loadScript('presence/read')
const ENTRIES = loadScript('presence/entries')
const NODES = loadScript('presence/nodes')

// Bounds what one script holds Redis up.
const BATCH = 200

/** The presence of a cluster: see set.lua for what stands in Redis, lease.ts for what becomes of a node that dies. */
export class RedisPresence implements PresenceStore {
  readonly #link: RedisLink
  readonly #keys: Keys
  readonly #lease: Lease
  #listener: StoreListener | undefined
  /** Topics of which an answer did not come: whether a first user came, or the last one went, is told with the next. */
  readonly #unsure = new Set<Topic>()

  constructor({ link, keys, bus, log }: RedisPresenceOptions) {
    this.#link = link
    this.#keys = keys
    this.#lease = new Lease({
      link,
      keys,
      lost: () => this.#listener?.lost(() => true),
      bury: node => this.#takeOut(node),
      nodes: () => this.#nodes(),
      failed: error => log.debug({ error: errorFacts(error).error }, 'the lease could not be renewed'),
    })
    bus.observe({
      presence: (topic, version, text) => this.#listener?.changed(topic, readChange(version, text)),
      erasChanged: concerns => this.#listener?.lost(concerns),
      busChanged: up => {
        if (up) this.#listener?.lost(() => true)
      },
    })
  }

  listen(listener: StoreListener): void {
    this.#listener = listener
  }

  async set(entries: readonly Entry[]): Promise<void> {
    await this.#set(this.#lease.node, entries)
  }

  async read(topics: readonly Topic[]): Promise<Snapshot[]> {
    const found = new Map<Topic, Snapshot>()
    const parts = [...groupBy(topics, partitionOf)].flatMap(([partition, all]) =>
      chunks(all, BATCH).map(part => [partition, part] as const),
    )
    await Promise.all(
      parts.map(async ([partition, part]) => {
        const keys = [this.#keys.era(partition), ...part.map(topic => this.#keys.presence(topic))]
        const answers = (await this.#link.run(READ, keys, [MOST])) as [string, string, string[]?][]
        for (const [i, topic] of part.entries()) found.set(topic, readSnapshot(answers[i]!))
      }),
    )
    return topics.map(topic => found.get(topic)!)
  }

  async close(): Promise<void> {
    await this.#lease.close()
    this.#listener = undefined
  }

  async #set(node: string, entries: readonly Entry[]): Promise<void> {
    const parts = [...groupBy(entries, entry => partitionOf(entry.topic))].flatMap(([partition, all]) =>
      chunks(all, BATCH).map(part => [partition, part] as const),
    )
    await Promise.all(
      parts.map(([partition, part]) => {
        const keys = [
          this.#keys.era(partition),
          this.#keys.presenceOfNode(partition, node),
          this.#keys.presenceNodes(partition),
        ]
        const args: (string | number)[] = [this.#link.publishCommand, MOST, node]
        const topics: Topic[] = []
        for (const [topic, there] of groupBy(part, entry => entry.topic)) {
          topics.push(topic)
          keys.push(this.#keys.presence(topic), this.#keys.channel(topic))
          args.push(topic, there.length)
          for (const { user, connections, info } of there) args.push(user, connections, info ?? '')
        }
        return this.#run(keys, args, topics)
      }),
    )
  }

  async #run(keys: readonly string[], args: readonly (string | number)[], topics: readonly Topic[]): Promise<void> {
    let answer: string[]
    try {
      answer = (await this.#link.run(SET, keys, args)) as string[]
    } catch (error) {
      for (const topic of topics) this.#unsure.add(topic)
      throw error
    }
    for (const [i, topic] of topics.entries()) {
      const [version, occupied, before] = answer.slice(3 * i, 3 * i + 3)
      const unsure = this.#unsure.delete(topic)
      if (unsure || occupied !== before) this.#listener?.crossed(topic, occupied === '1', Number(version))
    }
  }

  /** Takes out all that a node has set. Two who do it at once do each part once. */
  async #takeOut(node: string): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (;;) {
        const keys = [this.#keys.presenceOfNode(partition, node), this.#keys.presenceNodes(partition)]
        const entries = (await this.#link.run(ENTRIES, keys, [node])) as string[]
        if (entries.length === 0) break
        await this.#set(node, entries.map(readEntry))
      }
    }
  }

  /** Returns every node that has entries anywhere. */
  async #nodes(): Promise<Set<string>> {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => this.#keys.presenceNodes(partition))
    const found = await Promise.all(partitions.map(async key => (await this.#link.run(NODES, [key], [])) as string[]))
    return new Set(found.flat())
  }
}

function readEntry(text: string): Entry {
  const [topic, user] = text.split(' ') as [Topic, UserId]
  return { topic, user, connections: 0, info: undefined }
}

function readSnapshot([version, count, fields]: [string, string, string[]?]): Snapshot {
  const connections = new Map<UserId, number>()
  const infos = new Map<UserId, string>()
  for (let i = 0; i < (fields?.length ?? 0); i += 2) {
    const name = fields![i]!
    const user = name.slice(2) as UserId
    if (name.startsWith('c:')) connections.set(user, Number(fields![i + 1]))
    else if (name.startsWith('i:')) infos.set(user, fields![i + 1]!)
  }
  const members = [...connections].map(
    ([user, count]): Present => ({ user, info: infos.get(user), connections: count }),
  )
  return { version: Number(version), count: Number(count), members: fields === undefined ? undefined : members }
}

function readChange(version: number, text: string): Change {
  const { prev, count, present, left } = JSON.parse(text) as {
    prev: number
    count: number
    present?: { user: UserId; connections: number; info?: unknown }[]
    left?: UserId[]
  }
  return {
    version,
    prev,
    count,
    present: present?.map(({ user, connections, info }) => {
      return { user, connections, info: info === undefined ? undefined : JSON.stringify(info) }
    }),
    left,
  }
}
