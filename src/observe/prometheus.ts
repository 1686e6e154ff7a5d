import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Aggregator, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { CLOSE_CODES, type Code } from '../protocol/codes.ts'
import type { SiteId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import { Counter } from './counter.ts'
import { Histogram } from './histogram.ts'
import { LIMIT_KINDS, type LimitKind, type Metrics, type ReceiptFault } from './metrics.ts'
import type { Numbers } from './numbers.ts'
import { SiteMetrics, type SiteQueue } from './sites.ts'
import type { SiteRows } from './site-families.ts'

/** What is asked for when it is scraped, and not told as it happens. */
export interface Gauges {
  connections(): number
  chains(): number
  presenceMembers(): number
  /** Those that this node is telling, or failed to tell. */
  callbackQueues(): readonly SiteQueue[]
}

export interface BuildInfo {
  readonly version: string
  readonly node: string
  readonly uws: string
}

/** Milliseconds. */
const LAG_RESOLUTION = 20
const FAST = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/**
 * The numbers, for Prometheus (docs/metrics.md). Base units, histograms and no summaries, and no site label: what has one
 * is apart, so that tenants cannot hurt the operator's scrape (DESIGN §12).
 */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry()
  readonly #sites = new SiteMetrics()
  #queues: Gauges['callbackQueues'] = () => []
  readonly #opened = this.#counter('connections_opened_total', 'WebSockets opened')
  readonly #closed = this.#counter('connections_closed_total', 'WebSockets closed, by close code', 'code')
  readonly #authFailures = this.#counter(
    'auth_failures_total',
    'Refused tokens, licences and web origins, by code',
    'code',
  )
  readonly #refusals = this.#counter(
    'refusals_total',
    'Everything else that was refused, on either port, by code',
    'code',
  )
  readonly #frames = this.#counter('frames_received_total', 'Frames received from clients, by op', 'op')
  readonly #published = this.#counter('events_published_total', 'Events accepted and handed to the bus', 'source')
  readonly #publishSeconds = this.#histogram(
    'event_publish_seconds',
    'From an event being accepted to the bus confirming it',
  )
  readonly #deliveries = this.#counter('deliveries_total', 'Events handed to sockets, counted per socket')
  readonly #latency = this.#histogram(
    'delivery_latency_seconds',
    "From an event's stamp to its writing to the sockets of this node",
  )
  readonly #gaps = this.#counter('gaps_total', 'Chains whose clients were sent gap, by cause', 'cause')
  readonly #receiptsRefused = this.#counter('receipts_refused_total', 'Receipts that did not count, by reason', 'code')
  readonly #callbacks = this.#counter(
    'callbacks_total',
    'Requests to callbacks by outcome, and facts dropped',
    'outcome',
  )
  readonly #callbackSeconds = this.#histogram('callback_seconds', 'How long a request to a callback took', [
    ...FAST,
    10,
    15,
  ])
  readonly #rateLimited = this.#counter('rate_limited_total', 'Refused because it was too much, by kind', 'kind')
  readonly #slowConsumers = this.#counter(
    'slow_consumers_total',
    'Sockets closed because their clients read too slowly',
  )
  readonly #busUp = this.#gauge('bus_up', 'Whether what is published now would come back', {
    ofSeveral: 'min',
  })
  readonly #roundtrip = this.#histogram('bus_roundtrip_seconds', "A tick's way through the bus and back")

  constructor({ version, node, uws }: BuildInfo) {
    collectDefaultMetrics({ register: this.#registry })
    // Gauges that Prometheus' naming rules would take for counters; nobody needs them.
    for (const kind of ['handles', 'requests', 'resources']) {
      this.#registry.removeSingleMetric(`nodejs_active_${kind}`)
      this.#registry.removeSingleMetric(`nodejs_active_${kind}_total`)
    }
    this.#gauge('build_info', 'Always 1; its labels tell the versions', {
      labelNames: ['version', 'node', 'uws'],
      ofSeveral: 'first',
    }).set({ version, node, uws }, 1)
    for (const kind of LIMIT_KINDS) this.#rateLimited.add(0, kind)
    for (const outcome of ['ok', 'retry', 'gone', 'dropped']) this.#callbacks.add(0, outcome)
    for (const source of ['api', 'client'] as const) this.#published.add(0, source)
    for (const cause of ['bus', 'era', 'origin']) this.#gaps.add(0, cause)
    this.#refusals.add(0, 'internal')
    const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION })
    lag.enable()
    this.#gauge('event_loop_lag_seconds', 'The longest that the event loop was late since the last scrape', {
      ofSeveral: 'max',
      collect: gauge => {
        // What is measured is the time between two timers.
        gauge.set(Math.max(0, lag.max / 1e9 - LAG_RESOLUTION / 1000))
        lag.reset()
      },
    })
  }

  /** Names where the numbers come from that are only known when scraped. Called once. */
  observe(gauges: Gauges): void {
    this.#queues = () => gauges.callbackQueues()
    this.#gauge('connections', 'Open WebSockets', { collect: gauge => gauge.set(gauges.connections()) })
    this.#gauge('chains', 'Chains that this node follows', { collect: gauge => gauge.set(gauges.chains()) })
    this.#gauge('presence_members', 'Users on this node, counted once for each thread that they are in', {
      collect: gauge => gauge.set(gauges.presenceMembers()),
    })
    this.#gauge('callback_queue_depth', 'Facts that wait for sites which this node is telling or failed to tell', {
      collect: gauge => gauge.set(gauges.callbackQueues().reduce((sum, { depth }) => sum + depth, 0)),
    })
    this.#gauge('callback_queue_age_seconds', 'How long the oldest of them has waited', {
      ofSeveral: 'max',
      collect: gauge =>
        gauge.set(gauges.callbackQueues().reduce((most, { ageSeconds }) => Math.max(most, ageSeconds), 0)),
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Returns the text exposition format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Returns what addUp takes. */
  numbers(): Promise<Numbers> {
    return this.#registry.getMetricsAsJSON()
  }

  /** Returns what was counted of each site. */
  sites(): SiteRows {
    return this.#sites.rows(this.#queues())
  }

  connectionOpened(): void {
    this.#opened.add(1)
  }

  connectionClosed(code: number, site?: SiteId): void {
    if (site !== undefined) this.#sites.disconnected(site)
    // A client may close with any code it likes, and must not make a series of each.
    this.#closed.add(1, KNOWN_CLOSES.has(code) ? String(code) : 'other')
  }

  siteConnected(site: SiteId): void {
    this.#sites.connected(site)
  }

  refused(code: Code, site?: SiteId): void {
    const isAuth = AUTH.test(code)
    if (isAuth) this.#authFailures.add(1, code)
    else this.#refusals.add(1, code)
    if (site !== undefined) this.#sites.happened(isAuth ? 'authFailure' : 'refusal', site)
  }

  frameReceived(op: string): void {
    this.#frames.add(1, op)
  }

  published(source: 'api' | 'client', seconds: number, site: SiteId): void {
    this.#sites.published(source, site)
    this.#published.add(1, source)
    this.#publishSeconds.observe(seconds)
  }

  delivered(topic: Topic, subscribers: number): void {
    this.#sites.delivered(topic, subscribers)
    this.#deliveries.add(subscribers)
  }

  deliveredAfter(seconds: number): void {
    // A new era's first stamps are a second ahead of the clock.
    this.#latency.observe(Math.max(0, seconds))
  }

  receiptRefused(code: ReceiptFault): void {
    this.#receiptsRefused.add(1, code)
  }

  callback(site: SiteId, outcome: 'ok' | 'retry' | 'gone', seconds: number): void {
    this.#sites.happened(outcome, site)
    this.#callbacks.add(1, outcome)
    this.#callbackSeconds.observe(seconds)
  }

  callbacksDropped(site: SiteId, facts: number): void {
    this.#sites.happened('dropped', site, facts)
    this.#callbacks.add(facts, 'dropped')
  }

  gap(cause: 'bus' | 'era' | 'origin', chains: number): void {
    this.#gaps.add(chains, cause)
  }

  rateLimited(kind: LimitKind, site?: SiteId): void {
    this.#rateLimited.add(1, kind)
    if (site !== undefined) this.#sites.rateLimited(kind, site)
  }

  slowConsumer(site?: SiteId): void {
    this.#slowConsumers.add(1)
    if (site !== undefined) this.#sites.happened('slow', site)
  }

  busUp(up: boolean): void {
    this.#busUp.set(up ? 1 : 0)
  }

  busRoundtrip(seconds: number): void {
    this.#roundtrip.observe(seconds)
  }

  #counter(name: string, help: string, label?: string): Counter {
    return new Counter(`throughline_${name}`, help, label, this.#registry)
  }

  #histogram(name: string, help: string, bounds = FAST): Histogram {
    return new Histogram(`throughline_${name}`, help, bounds, this.#registry)
  }

  #gauge<L extends string>(
    name: string,
    help: string,
    { labelNames = [], ofSeveral = 'sum', collect }: GaugeOptions<L> = {},
  ): Gauge<L> {
    const gauge: Gauge<L> = new Gauge<L>({
      name: `throughline_${name}`,
      help,
      labelNames,
      aggregator: ofSeveral,
      registers: [this.#registry],
      ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
    })
    return gauge
  }
}

interface GaugeOptions<L extends string> {
  readonly labelNames?: L[]
  /** What several processes' values make together. */
  readonly ofSeveral?: Aggregator
  readonly collect?: (gauge: Gauge<L>) => void
}

// RFC 6455 §7.4.1, and ours.
const KNOWN_CLOSES = new Set([1000, 1001, 1005, 1006, 1009, ...CLOSE_CODES])

const AUTH = /^(token_|licence_|unknown_site|origin_not_allowed|connect_)/
