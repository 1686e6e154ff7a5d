import type { Bus, BusListener, Delivery } from '../bus/bus.ts'
import { chunks } from '../lib/arrays.ts'
import { every, type Cancel, type Clock } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { chainState, gapWithin, unknownState, type ChainState } from '../protocol/chain.ts'
import { gapFrame, ownFrame } from '../protocol/encode.ts'
import type { SiteId } from '../protocol/ids.ts'
import type { Json } from '../protocol/raw-json.ts'
import { clientChainName, type Topic } from '../protocol/topic.ts'
import { Chains } from './chains.ts'
import type { Outlet } from './outlet.ts'
import { publish, type Published, type PublishRequest } from './publish.ts'

export interface HubOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
}

const RESYNC_BATCH = 1000

/** This node's topics: what is published goes to the bus, what the bus brings goes to the sockets that listen. */
export class Hub implements BusListener {
  readonly #options: HubOptions
  readonly #chains: Chains
  readonly #cancel: Cancel
  // Chains whose state was told while the bus was down: on its return their clients are sent `gap` in any case.
  readonly #doubted = new Set<Topic>()
  #outlet: Outlet | undefined

  constructor(options: HubOptions) {
    this.#options = options
    this.#chains = new Chains(options.bus)
    this.#cancel = every(1000, () => this.#release())
  }

  /** Names the sockets. Called once, before a port opens. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet
  }

  get busUp(): boolean {
    return this.#options.bus.up
  }

  get chainCount(): number {
    return this.#chains.size
  }

  /** Rejects with `bus_down`; then the same call with the same id is safe. */
  async publish(site: SiteId, request: PublishRequest): Promise<Published> {
    const { bus, clock, metrics } = this.#options
    const start = performance.now()
    const published = await publish(bus, site, request, clock.now())
    metrics.published('api', (performance.now() - start) / 1000)
    return published
  }

  /** Follows chains, see Chains.follow. Subscribe to them in the same tick in which it is done, then tell their states. */
  follow(topics: readonly Topic[]): Promise<unknown> | undefined {
    return this.#chains.follow(topics, this.#options.clock.now())
  }

  /** Sends what was delivered until now. */
  flush(): void {
    this.#outlet!.flush()
  }

  /** Returns what to tell a client of a chain that is followed. */
  state(topic: Topic, since: Json | undefined): ChainState {
    const last = this.#chains.last(topic)
    if (this.busUp && last !== undefined && last > 0) {
      return chainState(last, this.#options.bus.eraStart(topic), since, this.#options.clock.now())
    }
    this.#doubted.add(topic)
    return unknownState(last === 0 ? undefined : last, since)
  }

  /** To be called when a topic's number of local listeners becomes 0 or 1. */
  listenersChanged(topic: Topic, count: number): void {
    this.#chains.listenersChanged(topic, count, this.#options.clock.now())
  }

  // The bytes go out as they came (DESIGN §3): reading more than the bus frame's prefix here would cost every subscriber.
  deliver({ topic, stamp, except, frame }: Delivery): void {
    if (stamp > 0 && !this.#chains.advance(topic, stamp)) return
    const outlet = this.#outlet!
    if (except === undefined || !outlet.owns(except)) outlet.publish({ topic, frame, stamp })
    else outlet.publish({ topic, frame, stamp, except, instead: stamp > 0 ? ownFrame(frame) : undefined })
  }

  busChanged(up: boolean): void {
    if (!up) {
      this.#outlet?.broadcast('{"op":"status","bus":"down"}')
      return
    }
    this.#resync().catch((error: unknown) =>
      this.#options.log.warn(errorFacts(error), 'resync failed; it is tried again when the bus is up'),
    )
  }

  close(): void {
    this.#cancel()
  }

  /** After an interruption: `gap` to those who missed something, and only then "up", so that nobody stops polling too early. */
  async #resync(): Promise<void> {
    for (const topics of chunks([...this.#chains.topics()], RESYNC_BATCH)) {
      const heads = await this.#options.bus.heads(topics)
      for (const [i, topic] of topics.entries()) this.#compare(topic, heads[i]!)
    }
    if (!this.busUp) return
    this.#doubted.clear()
    this.#outlet?.broadcast('{"op":"status","bus":"up"}')
  }

  #compare(topic: Topic, head: number): void {
    const last = this.#chains.last(topic)
    if (last === undefined) return
    // In a new era Redis may have forgotten what was published while we could not hear (DESIGN §7).
    const newEra = last < this.#options.bus.eraStart(topic)
    // A head below `last` is only older news: an event came while the heads were being read.
    const same = head <= last && !newEra && !this.#doubted.has(topic)
    this.#chains.raise(topic, head)
    const listeners = this.#outlet?.subscribers(topic) ?? 0
    if (same || listeners === 0) return
    this.#options.metrics.gap(newEra ? 'era' : 'bus', 1)
    this.#outlet!.publish({ topic, frame: gapFrame(clientChainName(topic), head, gapWithin(listeners)), stamp: 0 })
  }

  #release(): void {
    const outlet = this.#outlet
    if (outlet === undefined) return
    this.#chains.release(this.#options.clock.now(), topic => outlet.subscribers(topic))
  }
}
