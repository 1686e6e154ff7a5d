import type { Bus, BusListener, Delivery, Recipients } from '../bus/bus.ts'
import type { Notice, Revocations } from '../bus/notice.ts'
import { after, every, type Cancel, type Clock } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Tracing } from '../observe/tracing.ts'
import { chainEntry, chainState, unknownState, type ChainState } from '../protocol/chain.ts'
import { clientFrame, type ClientEvent, ownFrame } from '../protocol/encode.ts'
import type { ConnectionId, SiteId } from '../protocol/ids.ts'
import { newEventId } from './event-id.ts'
import type { Json, JsonObject } from '../protocol/raw-json.ts'
import { clientChainName, isChain, isUserTopic, siteOf, type Topic } from '../protocol/topic.ts'
import type { Audience } from './audience.ts'
import { Chains } from './chains.ts'
import { gapForEra, type GapParts, resync, sendGaps } from './gaps.ts'
import type { Outlet } from './outlet.ts'
import { Pace } from './pace.ts'
import { publish, type Published, type PublishRequest, type Seal } from './publish.ts'
import { withoutTrace, withTrace } from './trace.ts'

export interface HubOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  readonly seal: Seal
  /** Undefined when nothing is traced. */
  readonly tracing?: Tracing | undefined
}

/** Milliseconds until chains are compared again when that has failed though the bus is up. */
const RETRY = 1000

/** This node's topics: what is published goes to the bus, what the bus brings goes to the sockets that listen. */
export class Hub implements BusListener {
  readonly #options: HubOptions
  readonly #chains: Chains
  readonly #pace = new Pace()
  readonly #cancel: Cancel
  // Chains whose state was told while the bus was down: on its return their clients are sent `gap` in any case.
  readonly #doubted = new Set<Topic>()
  #outlet: Outlet | undefined
  #audience: Audience | undefined
  #released: ((topics: readonly Topic[]) => void) | undefined

  constructor(options: HubOptions) {
    this.#options = options
    this.#chains = new Chains(options.bus)
    this.#cancel = every(1000, () => this.#sweep())
  }

  /** Names the sockets, the connections on them, and who is told of topics that are followed no more. Called once, before a port opens. */
  attach(outlet: Outlet, audience: Audience, released: (topics: readonly Topic[]) => void): void {
    this.#outlet = outlet
    this.#audience = audience
    this.#released = released
  }

  get busUp(): boolean {
    return this.#options.bus.up
  }

  get chainCount(): number {
    return this.#chains.size
  }

  /** Returns a promise where somebody has to be asked. It rejects with `bus_down`; then the same call with the same id is safe. */
  publish(site: SiteId, request: PublishRequest): Published | Promise<Published> {
    const { tracing } = this.#options
    if (tracing === undefined) return this.#publish(site, request)
    const span = { name: 'publish', kind: 'producer', facts: { site, type: request.type } } as const
    return tracing.within(span, async () => {
      const { current } = tracing
      return this.#publish(
        site,
        current === undefined ? request : { ...request, except: withTrace(request.except, current) },
      )
    })
  }

  /** Hands a client's event to others who are subscribed to the thread. Rejects with `bus_down`. */
  async send(topic: Topic, event: Omit<ClientEvent, 'id' | 'at'>, to: Recipients): Promise<void> {
    const { bus, clock, metrics } = this.#options
    const start = performance.now()
    await bus.send(topic, clientFrame({ ...event, id: newEventId(), at: clock.now() }), to)
    metrics.published('client', (performance.now() - start) / 1000, siteOf(topic))
  }

  /** Returns chains' heads, in their order. Rejects with `bus_down`. */
  async heads(topics: readonly Topic[]): Promise<number[]> {
    return (await this.#options.bus.read(topics)).map(({ head }) => head)
  }

  /** Sends `gap` to every client of the chains, on every node. Rejects with `bus_down`. */
  askAll(topics: readonly Topic[]): Promise<void> {
    return this.#options.bus.gap(topics)
  }

  /** Tells all connections of users, on every node. Rejects with `bus_down`; then the same call is safe. */
  async notify(notices: ReadonlyMap<Topic, Notice>): Promise<void> {
    await Promise.all([...notices].map(([topic, notice]) => this.#options.bus.notify(topic, notice)))
  }

  /** Follows chains, see Chains.follow. Subscribe to them in the same tick in which it is done, then tell their states. */
  follow(topics: readonly Topic[]): Promise<unknown> | undefined {
    return this.#chains.follow(topics, this.#options.clock.now())
  }

  /** Sends what was delivered until now. */
  flush(): void {
    this.#outlet!.flush()
  }

  /**
   * Returns what to tell a client of chains that are followed, under the names that clients use, as JSON; `since` has its
   * stamps. Written at once: an object would be of a shape of its own for each name.
   */
  states(topics: readonly Topic[], since: JsonObject): string {
    let within: number | undefined
    let entries = ''
    for (const topic of topics) {
      const name = clientChainName(topic)
      const state = this.#state(topic, since[name])
      if (state.state === 'behind') {
        // One question for all of them.
        within ??= this.#pace.within(siteOf(topic), 1, this.#options.clock.now())
        state.within = within
      }
      entries += (entries === '' ? '' : ',') + chainEntry(name, state)
    }
    return `{${entries}}`
  }

  /** Returns what was taken back from a user whose chain is followed, as far as is known. */
  revocations(user: Topic): Revocations | undefined {
    return this.#chains.revocations(user)
  }

  /** To be called when a topic's number of local listeners becomes 0 or 1. */
  listenersChanged(topic: Topic, count: number): void {
    this.#chains.listenersChanged(topic, count, this.#options.clock.now())
  }

  // The bytes go out as they came (DESIGN §3): reading more than the bus frame's prefix here would cost every subscriber.
  deliver(delivery: Delivery): void {
    const { topic, stamp, except, frame } = delivery
    if (stamp > 0 && !this.#chains.advance(topic, stamp)) return
    if (except === undefined) this.#outlet!.publish(delivery)
    else this.#deliverMarked(topic, frame, stamp, except)
  }

  direct(topic: Topic, frame: Buffer, to: Recipients): void {
    this.#audience!.direct(topic, frame, to)
  }

  gap(topic: Topic, head: number): void {
    this.#chains.advance(topic, head)
    sendGaps(this.#parts(), new Map([[topic, 'origin']]))
  }

  notice(topic: Topic, notice: Notice, at: number): void {
    this.#chains.note(topic, notice, at)
    // What came before the notice is still for those whom it concerns.
    this.flush()
    this.#audience!.told(topic, notice)
  }

  erasChanged(concerns: (topic: Topic) => boolean): void {
    const topics = [...this.#chains.topics()].filter(topic => isChain(topic) && concerns(topic))
    this.#untilDone(() => gapForEra(this.#parts(), topics))
  }

  busChanged(up: boolean): void {
    if (up) this.#untilDone(() => this.#resync())
    else this.#outlet?.broadcast('{"op":"status","bus":"down"}')
  }

  close(): void {
    this.#cancel()
  }

  #publish(site: SiteId, request: PublishRequest): Published | Promise<Published> {
    const { bus, clock, seal } = this.#options
    const start = performance.now()
    const published = publish(bus, site, request, clock.now(), seal)
    if (published instanceof Promise) return published.then(later => this.#counted(later, start, site))
    return this.#counted(published, start, site)
  }

  #counted(published: Published, start: number, site: SiteId): Published {
    this.#options.metrics.published('api', (performance.now() - start) / 1000, site)
    return published
  }

  /** Delivers an event that leaves out a connection, or is traced. */
  #deliverMarked(topic: Topic, frame: Buffer, stamp: number, mark: ConnectionId): void {
    const { tracing } = this.#options
    const { except, trace } = withoutTrace(mark)
    const outlet = this.#outlet!
    const event =
      except === undefined || !outlet.owns(except)
        ? { topic, frame, stamp }
        : { topic, frame, stamp, except, instead: stamp > 0 ? ownFrame(frame) : undefined }
    if (tracing === undefined || trace === undefined) return outlet.publish(event)
    const facts = { site: siteOf(topic), sockets: outlet.subscribers(topic) }
    tracing.around({ name: 'deliver', kind: 'consumer', parent: trace, facts }, () => outlet.publish(event))
  }

  #state(topic: Topic, seen: Json | undefined): ChainState {
    const { bus, clock } = this.#options
    const last = this.#chains.last(topic)
    if (bus.up && last !== undefined && last > 0) return chainState(last, bus.eraStart(topic), seen, clock.now())
    this.#doubted.add(topic)
    return unknownState(last === 0 ? undefined : last, seen)
  }

  /** After an interruption: `gap` to those who missed something, and only then "up", so that nobody stops polling too early. */
  async #resync(): Promise<void> {
    await resync(this.#parts(), this.#doubted)
    for (const topic of this.#chains.topics()) {
      const revocations = isUserTopic(topic) ? this.#chains.revocations(topic) : undefined
      if (revocations !== undefined) this.#audience!.revoked(topic, revocations)
    }
    if (!this.busUp) return
    this.#doubted.clear()
    this.#outlet?.broadcast('{"op":"status","bus":"up"}')
  }

  /** Compares chains, again and again until it is done; not while the bus is down, since its return compares all. */
  #untilDone(compare: () => Promise<void>): void {
    compare().catch((error: unknown) => {
      this.#options.log.warn(errorFacts(error), 'chains could not be compared; it is tried again')
      after(RETRY, () => {
        if (this.busUp) this.#untilDone(compare)
      })
    })
  }

  #parts(): GapParts {
    const { bus, clock, metrics } = this.#options
    return { bus, clock, metrics, chains: this.#chains, pace: this.#pace, outlet: this.#outlet! }
  }

  #sweep(): void {
    const now = this.#options.clock.now()
    this.#pace.sweep(now)
    const outlet = this.#outlet
    if (outlet === undefined) return
    const released = this.#chains.release(now, topic => outlet.subscribers(topic))
    if (released.length > 0) this.#released!(released)
  }
}
