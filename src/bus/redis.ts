import { groupBy } from '../lib/arrays.ts'
import { after, every, type Cancel } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import type { RedisAddress } from '../redis/address.ts'
import { ClusterLink } from '../redis/cluster.ts'
import { Keys, PARTITIONS, partitionOf, slotOf } from '../redis/keys.ts'
import { loadScript, type LinkEvents, type RedisLink } from '../redis/link.ts'
import { SingleLink } from '../redis/single.ts'
import type { Bus, BusListener, Placed, Publication } from './bus.ts'
import { exceptField, readBusFrame } from './frame.ts'
import { Pulse } from './pulse.ts'

export interface RedisBusOptions {
  readonly address: RedisAddress
  readonly prefix: string
  readonly log: Log
  readonly metrics: Metrics
}

const TICK = 1500
const FIRST_CONNECTION = 3000
const ERA_RENEWAL = 3600_000
const RETRY_AFTER = 2

const PUBLISH = loadScript('bus/publish')
const ERA = loadScript('bus/era')

/** Connects, and waits a moment for the bus to be up: a node that finds no Redis starts all the same and says so (CONTRACT 27). */
export async function openRedisBus(options: RedisBusOptions): Promise<RedisBus> {
  const bus = new RedisBus(options)
  await Promise.race([bus.firstUp, new Promise<void>(resolve => after(FIRST_CONNECTION, resolve))])
  return bus
}

/** The bus of a cluster. See publish.lua for what is atomic, keys.ts for where it stands in Redis, pulse.ts for what "up" means. */
export class RedisBus implements Bus, LinkEvents {
  readonly #link: RedisLink
  readonly #keys: Keys
  readonly #log: Log
  readonly #metrics: Metrics
  readonly #node = randomId(9)
  readonly #publishCommand: 'PUBLISH' | 'SPUBLISH'
  readonly #topics = new Set<Topic>()
  readonly #eras = Array.from({ length: PARTITIONS }, () => 0)
  readonly #pulse = new Pulse()
  readonly #timers: readonly Cancel[]
  readonly firstUp: Promise<void>
  #firstUp: () => void = () => {}
  #listener: BusListener | undefined
  #newest = 0
  #up = false
  #recovering = false
  // Grows with each interruption, so that a recovery which began before one does not end it.
  #interruptions = 0

  constructor({ address, prefix, log, metrics }: RedisBusOptions) {
    this.#keys = new Keys(prefix)
    this.#log = log
    this.#metrics = metrics
    this.#publishCommand = address.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH'
    this.firstUp = new Promise(resolve => {
      this.#firstUp = resolve
    })
    this.#link = address.kind === 'cluster' ? new ClusterLink(address, this) : new SingleLink(address, this)
    this.#timers = [every(TICK, () => this.#beat()), every(ERA_RENEWAL, () => this.#renewEras())]
  }

  get up(): boolean {
    return this.#up
  }

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  async publish(publication: Publication): Promise<Placed[]> {
    const { topics } = publication
    if (topics.length === 1) return this.#place(publication, topics)
    const placed = new Map<Topic, Placed>()
    const parts = groupBy(topics, partitionOf)
    await Promise.all(
      [...parts.values()].map(async part => {
        const answers = await this.#place(publication, part)
        for (const [i, topic] of part.entries()) placed.set(topic, answers[i]!)
      }),
    )
    return topics.map(topic => placed.get(topic)!)
  }

  async subscribe(topics: readonly Topic[]): Promise<number[]> {
    for (const topic of topics) this.#topics.add(topic)
    await this.#try(() => this.#link.subscribe(topics.map(topic => this.#keys.channel(topic))))
    return this.heads(topics)
  }

  async heads(topics: readonly Topic[]): Promise<number[]> {
    const heads = await this.#try(() => this.#link.read(topics.map(topic => this.#keys.head(topic))))
    return topics.map((topic, i) => (heads[i] === null ? this.eraStart(topic) : Number(heads[i])))
  }

  unsubscribe(topics: readonly Topic[]): void {
    for (const topic of topics) this.#topics.delete(topic)
    if (this.#link.ready) this.#link.unsubscribe(topics.map(topic => this.#keys.channel(topic)))
  }

  eraStart(topic: Topic): number {
    return this.#eras[partitionOf(topic)]!
  }

  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel()
    // Going down on purpose is nobody's news.
    this.#up = false
    this.#listener = undefined
    this.#link.close()
  }

  message(channel: string, message: Buffer): void {
    const roundtrip = this.#pulse.heard(channel, performance.now())
    if (roundtrip !== undefined) {
      this.#metrics.busRoundtrip(roundtrip / 1000)
      return
    }
    const read = readBusFrame(message)
    if (read === undefined) return
    if (read.stamp > this.#newest) this.#newest = read.stamp
    this.#listener?.deliver({ topic: this.#keys.topicOf(channel), ...read })
  }

  interrupted(why: string): void {
    this.#interruptions++
    if (!this.#up) return
    this.#up = false
    this.#metrics.busUp(false)
    this.#log.warn({ why }, 'bus down')
    this.#listener?.busChanged(false)
  }

  connected(): void {
    void this.#recover()
  }

  /** Publishes to topics of one partition. */
  async #place({ frame, ephemeral, id, except }: Publication, topics: readonly Topic[]): Promise<Placed[]> {
    const partition = partitionOf(topics[0]!)
    const keys = [this.#keys.era(partition)]
    for (const topic of topics) {
      keys.push(this.#keys.head(topic), this.#keys.channel(topic))
      if (id !== undefined) keys.push(this.#keys.seen(topic, id))
    }
    const args = [
      this.#publishCommand,
      ephemeral ? 'e' : 'o',
      id === undefined ? '0' : '1',
      exceptField(except),
      frame.before,
      frame.after,
    ]
    const answers = (await this.#try(async () => {
      try {
        return await this.#link.run(PUBLISH, keys, args)
      } catch (error) {
        // Somebody emptied Redis under a running node: the chains begin a new era.
        if (!(error instanceof Error && error.message.startsWith('NOERA'))) throw error
        await this.#readEras()
        return this.#link.run(PUBLISH, keys, args)
      }
    })) as number[]
    return answers.map(answer => ({ stamp: ephemeral ? 0 : Math.abs(answer), duplicate: answer < 0 }))
  }

  /** Runs a call to Redis; whatever goes wrong there is `bus_down` to the caller, and told once in the log. */
  async #try<T>(call: () => Promise<T>): Promise<T> {
    try {
      if (this.#link.ready) return await call()
    } catch (error) {
      this.#log.warn({ error: errorFacts(error).error }, 'a Redis command failed')
    }
    throw new Refusal('bus_down', undefined, { retryAfter: RETRY_AFTER })
  }

  #beat(): void {
    if (!this.#up) {
      void this.#recover()
      return
    }
    if (this.#pulse.lost) {
      this.interrupted(`${Pulse.ALLOWED} ticks did not come back`)
      this.#link.reconnectSubscriber()
      return
    }
    this.#tick().catch((error: unknown) => this.#log.warn(errorFacts(error), 'a tick could not be sent'))
  }

  async #tick(): Promise<void> {
    this.#pulse.sent(performance.now())
    await Promise.all(this.#pulse.channels.map(channel => this.#link.publish(channel, '')))
  }

  /** Brings the bus up: eras, then every subscription, then a tick that comes back. In this order: see docs/ordering.md. */
  async #recover(): Promise<void> {
    if (this.#recovering || this.#up || !this.#link.ready) return
    this.#recovering = true
    const interruptions = this.#interruptions
    try {
      await this.#readEras()
      this.#pulse.reset(this.#tickChannels())
      await this.#link.subscribe([
        ...this.#pulse.channels,
        ...[...this.#topics].map(topic => this.#keys.channel(topic)),
      ])
      await this.#tick()
      await Promise.race([this.#pulse.complete(), new Promise<void>(resolve => after(TICK, resolve))])
      if (interruptions !== this.#interruptions) return
      this.#up = true
      this.#metrics.busUp(true)
      this.#log.info({}, 'bus up')
      this.#firstUp()
      this.#listener?.busChanged(true)
    } catch (error) {
      this.#log.warn({ error: errorFacts(error).error }, 'the bus is not yet back')
    } finally {
      this.#recovering = false
    }
  }

  async #readEras(): Promise<void> {
    const runIds = await this.#link.runIds()
    await Promise.all(
      this.#eras.map(async (_, partition) => {
        const runId = runIds.get(this.#link.primaryOf(slotOf(partition)) ?? '')
        if (runId === undefined) throw new Error(`no primary is known for partition ${partition}`)
        this.#eras[partition] = Number(await this.#link.run(ERA, [this.#keys.era(partition)], [runId, this.#newest]))
      }),
    )
  }

  #renewEras(): void {
    this.#readEras().catch((error: unknown) => this.#log.warn(errorFacts(error), 'the eras could not be renewed'))
  }

  /** One channel on each primary. */
  #tickChannels(): string[] {
    const channels = new Map<string, string>()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const primary = this.#link.primaryOf(slotOf(partition)) ?? ''
      if (!channels.has(primary)) channels.set(primary, this.#keys.tick(partition, this.#node))
    }
    return [...channels.values()]
  }
}
