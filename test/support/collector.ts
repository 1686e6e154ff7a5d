import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Teardown } from './relay.ts'

/** A span, as OTLP writes it in JSON. */
export interface SeenSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code?: number; readonly message?: string }
  /** By name. */
  readonly attributes: Readonly<Record<string, unknown>>
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly {
      readonly spans: readonly (SeenSpan & { readonly attributes: readonly Attribute[] })[]
    }[]
  }[]
}

/** An OpenTelemetry collector, as far as OTLP over HTTP in JSON goes. */
export class Collector {
  readonly spans: SeenSpan[] = []
  readonly bodies: string[] = []
  readonly requests: { path: string | undefined; headers: IncomingHttpHeaders }[] = []
  resource: Readonly<Record<string, unknown>> = {}
  readonly url: string

  private constructor(url: string) {
    this.url = url
  }

  static async start(t: Teardown): Promise<Collector> {
    const server = createServer((request, response) => {
      void text(request).then(body => {
        collector.#take(request.url, request.headers, body)
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    const collector = new Collector(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    return collector
  }

  named(name: string): SeenSpan[] {
    return this.spans.filter(span => span.name === name)
  }

  #take(path: string | undefined, headers: IncomingHttpHeaders, body: string): void {
    this.requests.push({ path, headers })
    this.bodies.push(body)
    for (const { resource, scopeSpans } of (JSON.parse(body) as Export).resourceSpans) {
      this.resource = byName(resource.attributes)
      for (const { spans } of scopeSpans) {
        for (const span of spans) this.spans.push({ ...span, attributes: byName(span.attributes) })
      }
    }
  }
}

function byName(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
