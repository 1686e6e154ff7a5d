import { chunks, groupBy } from '../lib/arrays.ts'
import { after, every, type Cancel } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import { type Keys, PARTITIONS, partitionOf, slotOf } from '../redis/keys.ts'
import { isTimeout, type LinkEvents, type RedisLink } from '../redis/link.ts'
import type { Bus, BusListener, BusObserver, Known, Placed, Publication, Recipients } from './bus.ts'
import { Eras } from './eras.ts'
import { GAP, NOTICE, PRESENCE, readBusFrame, readRecipients, TO_CONNECTION, TO_USER, writeBusFrame } from './frame.ts'
import type { Notice } from './notice.ts'
import { Pulse } from './pulse.ts'
import { Scripts } from './scripts.ts'

export interface RedisBusOptions {
  /** Nobody else may subscribe with it; anybody may run scripts. */
  readonly link: RedisLink
  readonly keys: Keys
  readonly log: Log
  readonly metrics: Metrics
}

const TICK = 1500
const FIRST_CONNECTION = 3000
const ERA_CHECK = 10_000
const RETRY_AFTER = 2
/**
 * Bytes that one publication may put on channels before the next part waits for the answer. A node may listen to all of
 * its topics, and Redis drops a subscriber that is 32 MB behind (client-output-buffer-limit pubsub), for every site.
 */
const BURST = 1_048_576

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
  readonly #scripts: Scripts
  readonly #log: Log
  readonly #metrics: Metrics
  readonly #node = randomId(9)
  readonly #topics = new Set<Topic>()
  readonly #eras: Eras
  readonly #pulse = new Pulse()
  readonly #timers: readonly Cancel[]
  readonly firstUp: Promise<void>
  #firstUp: () => void = () => {}
  #listener: BusListener | undefined
  #observer: BusObserver | undefined
  #up = false
  #recovering = false
  // Grows with each interruption, so that a recovery which began before one does not end it.
  #interruptions = 0

  constructor({ link, keys, log, metrics }: RedisBusOptions) {
    this.#link = link
    this.#keys = keys
    this.#scripts = new Scripts(link, keys)
    this.#eras = new Eras({ link, keys, changed: partitions => this.#tellEras(partitions) })
    this.#log = log
    this.#metrics = metrics
    this.firstUp = new Promise(resolve => {
      this.#firstUp = resolve
    })
    link.listen(this)
    if (link.ready) this.connected()
    this.#timers = [every(TICK, () => this.#beat()), every(ERA_CHECK, () => void this.#checkEras())]
  }

  get up(): boolean {
    return this.#up
  }

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  observe(observer: BusObserver): void {
    this.#observer = observer
  }

  async publish(publication: Publication): Promise<Placed[]> {
    const { topics, frame } = publication
    if (topics.length === 1) return this.#inEra(() => this.#scripts.publish(publication, topics))
    const room = Math.max(1, Math.floor(BURST / (frame.before.length + frame.after.length + frame.data.length)))
    const placed = new Map<Topic, Placed>()
    for (const burst of chunks(topics, room)) {
      await this.#inParts(burst, async part => {
        const answers = await this.#inEra(() => this.#scripts.publish(publication, part))
        for (const [i, topic] of part.entries()) placed.set(topic, answers[i]!)
      })
    }
    return topics.map(topic => placed.get(topic)!)
  }

  async subscribe(topics: readonly Topic[]): Promise<Known[]> {
    for (const topic of topics) this.#topics.add(topic)
    await this.#try(() => this.#link.subscribe(topics.map(topic => this.#keys.channel(topic))))
    return this.read(topics)
  }

  async read(topics: readonly Topic[]): Promise<Known[]> {
    const known = new Map<Topic, Known>()
    await this.#inParts(topics, async part => {
      const { since, answers } = await this.#inEra(() => this.#scripts.read(part))
      this.#eras.learn(partitionOf(part[0]!), since)
      for (const [i, topic] of part.entries()) {
        this.#eras.meet(answers[i]!.head)
        known.set(topic, answers[i]!)
      }
    })
    return topics.map(topic => known.get(topic)!)
  }

  gap(topics: readonly Topic[]): Promise<void> {
    return this.#inParts(topics, part => this.#inEra(() => this.#scripts.gap(part)))
  }

  notify(topic: Topic, notice: Notice): Promise<void> {
    return this.#try(() => this.#scripts.notify(topic, notice))
  }

  send(topic: Topic, frame: Buffer, to: Recipients): Promise<void> {
    return this.#try(() => this.#link.publish(this.#keys.channel(topic), writeBusFrame(frame, to)))
  }

  unsubscribe(topics: readonly Topic[]): void {
    for (const topic of topics) this.#topics.delete(topic)
    this.#link.unsubscribe(topics.map(topic => this.#keys.channel(topic)))
  }

  eraStart(topic: Topic): number {
    return this.#eras.start(partitionOf(topic))
  }

  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel()
    // Going down on purpose is nobody's news.
    this.#up = false
    this.#listener = undefined
    this.#observer = undefined
  }

  message(channel: string, message: Buffer): void {
    const roundtrip = this.#pulse.heard(channel, performance.now())
    if (roundtrip !== undefined) {
      this.#metrics.busRoundtrip(roundtrip / 1000)
      return
    }
    const read = readBusFrame(message)
    if (read === undefined) return
    const { kind, number, except, frame } = read
    const topic = this.#keys.topicOf(channel)
    const listener = this.#listener
    if (kind === PRESENCE) this.#observer?.presence(topic, number, frame.toString())
    else if (kind === NOTICE) listener?.notice(topic, JSON.parse(frame.toString()) as Notice, number)
    else if (kind === TO_USER || kind === TO_CONNECTION) listener?.direct(topic, frame, readRecipients(kind, except!))
    else {
      this.#eras.meet(number)
      if (kind === GAP) listener?.gap(topic, number)
      else listener?.deliver({ topic, stamp: number, except, frame })
    }
  }

  interrupted(why: string): void {
    this.#interruptions++
    if (!this.#up) return
    this.#up = false
    this.#metrics.busUp(false)
    this.#log.warn({ why }, 'bus down')
    this.#listener?.busChanged(false)
    this.#observer?.busChanged(false)
  }

  connected(): void {
    void this.#recover()
  }

  /** Calls `work` for the topics of each partition, side by side. */
  async #inParts(topics: readonly Topic[], work: (part: Topic[]) => Promise<void>): Promise<void> {
    await Promise.all([...groupBy(topics, partitionOf).values()].map(work))
  }

  /** Makes a call that needs its partition to have an era. */
  #inEra<T>(call: () => Promise<T>): Promise<T> {
    return this.#try(async () => {
      try {
        return await call()
      } catch (error) {
        // Somebody emptied Redis under a running node: the chains begin a new era.
        if (!(error instanceof Error && error.message.startsWith('NOERA'))) throw error
        await this.#eras.read(false)
        return await call()
      }
    })
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
      this.#link.reconnect()
      return
    }
    this.#tick().catch((error: unknown) => this.#log.warn(errorFacts(error), 'a tick could not be sent'))
  }

  async #tick(): Promise<void> {
    this.#pulse.sent(performance.now())
    await Promise.all(this.#pulse.channels.map(channel => this.#link.publish(channel, '')))
  }

  /** Brings the bus up: eras, then every subscription, then a tick that comes back. In this order: see docs/architecture.md. */
  async #recover(): Promise<void> {
    if (this.#recovering || this.#up || !this.#link.ready) return
    this.#recovering = true
    const interruptions = this.#interruptions
    try {
      await this.#eras.read(true)
      this.#pulse.reset(this.#tickChannels())
      await this.#link.subscribe([
        ...this.#pulse.channels,
        ...[...this.#topics].map(topic => this.#keys.channel(topic)),
      ])
      await this.#tick()
      await this.#pulse.complete(TICK)
      if (interruptions !== this.#interruptions) return
      this.#up = true
      this.#metrics.busUp(true)
      this.#log.info({}, 'bus up')
      this.#firstUp()
      this.#listener?.busChanged(true)
      this.#observer?.busChanged(true)
    } catch (error) {
      this.#log.warn({ error: errorFacts(error).error }, 'the bus is not yet back')
      // Half-open links stay silent for ever (pulse.ts).
      if (isTimeout(error)) this.#link.reconnect()
    } finally {
      this.#recovering = false
    }
  }

  /** Keeps the eras from expiring, and finds out when Redis was emptied, or its primary exchanged, behind our back. */
  async #checkEras(): Promise<void> {
    if (!this.#up) return
    try {
      await this.#eras.read(false)
    } catch (error) {
      this.#log.warn({ error: errorFacts(error).error }, 'the eras could not be read')
    }
  }

  #tellEras(partitions: ReadonlySet<number>): void {
    // Otherwise the chains are compared when it is up again.
    if (!this.#up) return
    this.#log.warn({ partitions: partitions.size }, 'Redis has forgotten chains: a new era')
    const concerns = (topic: Topic): boolean => partitions.has(partitionOf(topic))
    this.#listener?.erasChanged(concerns)
    this.#observer?.erasChanged(concerns)
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
