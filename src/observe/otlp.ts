import { AsyncLocalStorage } from 'node:async_hooks'
import type { Context, Span, SpanKind } from '@opentelemetry/api'
import { after } from '../lib/clock.ts'
import type { Log } from './log.ts'
import type { Facts, SpanStart, Traceparent, Tracing } from './tracing.ts'

export interface OtlpOptions {
  /** Where spans are sent, such as http://127.0.0.1:4318/v1/traces. */
  readonly url: string
  /** Which part of what comes without a `traceparent` is traced, 0 to 1. */
  readonly share: number
  readonly version: string
  readonly log: Log
}

/** Stops the start: the optional packages are not there. */
export class TracingError extends Error {
  override readonly name = 'TracingError'
  readonly variable = 'THROUGHLINE_OTLP'
}

const EVERY_MS = 1000
const CLOSING_MS = 2000
const FAULT_LENGTH = 200
const quiet = (): void => {}

/** Loads OpenTelemetry, which nobody does who does not trace, and returns what sends spans by OTLP. Rejects with a TracingError. */
export async function openOtlp(options: OtlpOptions): Promise<Tracing> {
  return new OtlpTracing(await load(), options)
}

type Libraries = Awaited<ReturnType<typeof load>>

async function load() {
  try {
    const [api, sdk, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/exporter-trace-otlp-http'),
    ])
    return { api, sdk, resourceFromAttributes, OTLPTraceExporter }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new TracingError(
      `expected the optional packages @opentelemetry/… to be installed, found them missing (${code}); npm ci --include=optional`,
    )
  }
}

class OtlpTracing implements Tracing {
  readonly #api: Libraries['api']
  readonly #provider: InstanceType<Libraries['sdk']['TracerProvider']>
  readonly #tracer
  readonly #kinds: Record<SpanStart['kind'], SpanKind>
  readonly #contexts = new AsyncLocalStorage<Context>()

  constructor({ api, sdk, resourceFromAttributes, OTLPTraceExporter }: Libraries, options: OtlpOptions) {
    const { url, share, version, log } = options
    this.#api = api
    const { SERVER: server, PRODUCER: producer, CONSUMER: consumer, CLIENT: client } = api.SpanKind
    this.#kinds = { server, producer, consumer, client }
    const told = (message: string): void => log.warn({ error: message.slice(0, FAULT_LENGTH) }, 'traces')
    api.diag.setLogger({ error: told, warn: told, info: quiet, debug: quiet, verbose: quiet }, api.DiagLogLevel.WARN)
    this.#provider = new sdk.TracerProvider({
      resource: resourceFromAttributes({ 'service.name': 'throughline', 'service.version': version }),
      // Its queue is bounded: when spans come faster than they can be sent they are dropped.
      spanProcessors: [
        new sdk.BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }), scheduledDelayMillis: EVERY_MS }),
      ],
      sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(share) }),
    })
    this.#tracer = this.#provider.getTracer('throughline', version)
  }

  async within<T>(start: SpanStart, work: () => Promise<T>): Promise<T> {
    const { span, context } = this.#begin(start)
    try {
      return await this.#contexts.run(context, work)
    } catch (error) {
      this.#fail(span, error)
      throw error
    } finally {
      span.end()
    }
  }

  around(start: SpanStart, work: () => void): void {
    const { span, context } = this.#begin(start)
    try {
      this.#contexts.run(context, work)
    } finally {
      span.end()
    }
  }

  get current(): Traceparent | undefined {
    const span = this.#span()
    return span?.isRecording() === true ? span.spanContext() : undefined
  }

  note(facts: Facts): void {
    this.#span()?.setAttributes(named(facts))
  }

  async close(): Promise<void> {
    // What went wrong has been told; a collector that hangs must not keep a node from ending.
    const sent = this.#provider.shutdown().catch(() => {})
    await Promise.race([sent, new Promise<void>(resolve => after(CLOSING_MS, resolve))])
  }

  #begin({ name, kind, parent, facts }: SpanStart): { span: Span; context: Context } {
    const { trace, ROOT_CONTEXT } = this.#api
    const outer =
      parent === undefined
        ? (this.#contexts.getStore() ?? ROOT_CONTEXT)
        : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true })
    const span = this.#tracer.startSpan(name, { kind: this.#kinds[kind], attributes: named(facts) }, outer)
    return { span, context: trace.setSpan(outer, span) }
  }

  #span(): Span | undefined {
    const context = this.#contexts.getStore()
    return context === undefined ? undefined : this.#api.trace.getSpan(context)
  }

  /** What went wrong is told by its code or name alone: the words of an error may quote anything. */
  #fail(span: Span, error: unknown): void {
    const { code, name } = error as { code?: unknown; name?: unknown }
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: String(code ?? name) })
  }
}

function named(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [`throughline.${name}`, value]))
}
