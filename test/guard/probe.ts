/**
 * Loaded into a node before its own code (node --import): counts what the node asks of uWebSockets.js, and on SIGUSR2
 * writes the counts and its memory into the file that GUARD_PROBE names, the memory once as it is and once without garbage.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type * as UWS from 'uws-20.56'
import { loadUws } from '../../src/gateway/uws.ts'

export interface Reading {
  /** Calls of `publish` and of `send`, of the app and of sockets. */
  readonly publishes: number
  readonly sends: number
  /** Collections that nobody asked for. */
  readonly collections: number
  /** Bytes that V8 has given out and not taken back: with a young heap that is not full all that was ever allocated. */
  readonly heap: number
  readonly buffers: number
  /** Whether V8 finds the methods of strings in its fast way (lib/fast-strings.ts). */
  readonly fastStrings: boolean
  /** What is left after a collection, and what the process then takes up. */
  readonly alive: number
  readonly resident: number
}

/** Its details are missing from the types of Node 20. */
type Collection = PerformanceEntry & { readonly detail: { readonly flags: number } }

const calls = { publish: 0, send: 0 }

type Method = (...args: unknown[]) => unknown

/** Puts a counter in front of a method. */
function count(object: object, name: keyof typeof calls): void {
  const methods = object as Record<string, Method>
  const method = methods[name]!
  methods[name] = function counted(this: unknown, ...args) {
    calls[name]++
    return method.apply(this, args)
  }
}

const { uws } = loadUws(process.env['UWS_BINARY'])
const { App } = uws
const native = uws as { App: typeof App }
// The binary tells an argument that is undefined from one that is not there.
native.App = (...options) => {
  const app = App(...options)
  count(app, 'publish')
  const ws = app.ws.bind(app)
  app.ws = <T>(pattern: UWS.RecognizedString, behavior: UWS.WebSocketBehavior<T>) =>
    ws(pattern, {
      ...(behavior as UWS.WebSocketBehavior<unknown>),
      open(socket) {
        count(socket, 'publish')
        count(socket, 'send')
        return (behavior as UWS.WebSocketBehavior<unknown>).open?.(socket)
      },
    })
  return app
}

// A native of V8, of which TypeScript knows nothing: see its src/runtime/runtime.h, and --allow-natives-syntax.
// oxlint-disable-next-line no-implied-eval, no-new-func
const fastStrings = new Function('return %HasFastProperties(String.prototype)') as () => boolean

let collections = 0
new PerformanceObserver(list => {
  for (const { detail } of list.getEntries() as Collection[])
    if ((detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0) collections++
}).observe({ entryTypes: ['gc'] })

process.on('SIGUSR2', () => {
  const { heapUsed: heap, arrayBuffers: buffers } = process.memoryUsage()
  const { publish: publishes, send: sends } = calls
  global.gc!()
  const after = process.memoryUsage()
  const alive = after.heapUsed + after.arrayBuffers
  const file = process.env['GUARD_PROBE'] ?? ''
  writeFileSync(
    `${file}.part`,
    JSON.stringify({
      collections,
      fastStrings: fastStrings(),
      publishes,
      sends,
      heap,
      buffers,
      alive,
      resident: after.rss,
    } satisfies Reading),
  )
  renameSync(`${file}.part`, file)
})
