import { writeAfter } from '../protocol/encode.ts'
import { isUserTopic, type Topic } from '../protocol/topic.ts'
import { type Keys, partitionOf } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'
import type { Known, Placed, Publication } from './bus.ts'
import { exceptField } from './frame.ts'
import { type Notice, readRevocations, revocationIn } from './notice.ts'

const PUBLISH = loadScript('bus/publish')
const HEADS = loadScript('bus/heads')
const GAP = loadScript('bus/gap')
const NOTICE = loadScript('bus/notice')

/** The Lua scripts as calls: each is for topics of one partition, and atomic. All but `notify` need the partition to have an era. */
export class Scripts {
  readonly #link: RedisLink
  readonly #keys: Keys

  constructor(link: RedisLink, keys: Keys) {
    this.#link = link
    this.#keys = keys
  }

  async publish({ frame, ephemeral, id, except }: Publication, topics: readonly Topic[]): Promise<Placed[]> {
    const keys = this.#era(topics)
    for (const topic of topics) {
      keys.push(this.#keys.head(topic), this.#keys.channel(topic))
      if (id !== undefined) keys.push(this.#keys.seen(topic, id))
    }
    const args = [
      this.#link.publishCommand,
      ephemeral ? 'e' : 'o',
      id === undefined ? '0' : '1',
      exceptField(except),
      frame.before,
      writeAfter(frame),
    ]
    const answers = (await this.#link.run(PUBLISH, keys, args)) as number[]
    // An id that an ephemeral event had first has no stamp, whoever asks.
    return answers.map(answer => ({ stamp: ephemeral || answer === -1 ? 0 : Math.abs(answer), duplicate: answer < 0 }))
  }

  /** Returns the start of the partition's era, and what is known of each topic. */
  async read(topics: readonly Topic[]): Promise<{ since: number; answers: Known[] }> {
    const users = topics.filter(isUserTopic)
    const keys = this.#era(topics)
    for (const topic of topics) keys.push(this.#keys.head(topic))
    for (const topic of users) keys.push(this.#keys.revocations(topic))
    const [since, ...found] = (await this.#link.run(HEADS, keys, [topics.length])) as [number, ...unknown[]]
    const taken = new Map(users.map((topic, i) => [topic, readRevocations(found[topics.length + i] as string[])]))
    return {
      since,
      answers: topics.map((topic, i) => ({ head: found[i] as number, revocations: taken.get(topic) })),
    }
  }

  async gap(topics: readonly Topic[]): Promise<void> {
    const keys = this.#era(topics)
    for (const topic of topics) keys.push(this.#keys.head(topic), this.#keys.channel(topic))
    await this.#link.run(GAP, keys, [this.#link.publishCommand])
  }

  async notify(topic: Topic, notice: Notice): Promise<void> {
    const { name, lifted } = revocationIn(notice) ?? { name: '', lifted: false }
    const keys = [this.#keys.revocations(topic), this.#keys.channel(topic)]
    await this.#link.run(NOTICE, keys, [this.#link.publishCommand, name, lifted ? '1' : '0', JSON.stringify(notice)])
  }

  #era(topics: readonly Topic[]): string[] {
    return [this.#keys.era(partitionOf(topics[0]!))]
  }
}
