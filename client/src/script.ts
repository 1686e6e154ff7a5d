/** The single-file build: what a page gets by a plain <script> tag, as `Throughline`, and what its SharedWorker runs. */
import { type ConnectOptions, connect, RelayError } from './index.ts'
import { serveTabs, type SharedWorkerScope } from './sharing/worker.ts'

const src = (globalThis.document?.currentScript as HTMLScriptElement | null)?.src
// From another origin it cannot be a worker.
const workerUrl = src && new URL(src).origin === origin ? src : undefined

if ('onconnect' in globalThis) serveTabs(globalThis as unknown as SharedWorkerScope)
else
  Object.assign(globalThis, {
    Throughline: {
      RelayError,
      connect: (options: ConnectOptions) => connect({ ...(workerUrl && { workerUrl }), ...options }),
    },
  })
