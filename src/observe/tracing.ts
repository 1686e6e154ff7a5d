/**
 * What follows an event on its way (docs/operate/tracing.md). Parts are handed one only when tracing is on: without it
 * there is one `if` and nothing else on the way of an event.
 */
export interface Tracing {
  /** Does `work` as a span, inside `parent`, or else inside the span that this is called in. A rejection marks it as failed. */
  within<T>(span: SpanStart, work: () => Promise<T>): Promise<T>
  /** The same for what is done at once. */
  around(span: SpanStart, work: () => void): void
  /** The span that this is called in, as `traceparent` (W3C Trace Context); undefined if there is none, or it is not recorded. */
  readonly current: Traceparent | undefined
  /** Adds to the span that this is called in. */
  note(facts: Facts): void
  /** Sends what is left, within 2 s. */
  close(): Promise<void>
}

/** Names and numbers that may stand in logs (CONTRACT 15): never data, tokens or licences. */
export type Facts = Readonly<Record<string, string | number>>

export interface SpanStart {
  readonly name: string
  /** As OpenTelemetry has them: who answers, who hands on, who is handed, who asks. */
  readonly kind: 'server' | 'producer' | 'consumer' | 'client'
  readonly parent?: Traceparent | undefined
  readonly facts: Facts
}

export interface Traceparent {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

const FORMAT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

/** Returns what a `traceparent` says; undefined for what is none, or of another version: it is then as if none had come. */
export function parseTraceparent(text: string | undefined): Traceparent | undefined {
  const [, traceId, spanId, flags = ''] = FORMAT.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED }
}

export function traceparentText({ traceId, spanId, traceFlags }: Traceparent): string {
  return `00-${traceId}-${spanId}-${traceFlags === SAMPLED ? '01' : '00'}`
}

/** The one flag that is known to all. */
const SAMPLED = 1
