import { createHub } from '../hub.ts'
import { createHost, type Host } from './host.ts'
import { type FromHost, type FromTab, randomId, VERSION } from './line.ts'
import { hold, locks } from './locks.ts'

/** The part of a SharedWorkerGlobalScope that is used here: its types cannot stand beside those of pages. */
export interface SharedWorkerScope {
  onconnect: ((event: MessageEvent) => void) | null
  close(): void
}

/** How long the worker stays without a tab: between two pages of one tab, say. */
const LINGER_MS = 1_000

/** Hosts the hub in a SharedWorker, for as long as there are tabs. */
export function serveTabs(scope: SharedWorkerScope): void {
  const lock = randomId()
  const held = hold(lock, new AbortController().signal)
  let host: Host | undefined
  const end = (): void => {
    host = undefined
    setTimeout(() => host || scope.close(), LINGER_MS)
  }
  scope.onconnect = ({ ports: [line] }) => {
    line!.onmessage = async ({ data: [kind, hello] }: MessageEvent<FromTab>) => {
      if (kind !== 'hello') return
      if (hello.version !== VERSION) return line!.postMessage(['refused', VERSION] satisfies FromHost)
      await held
      host ??= createHost(createHub(hello.hub), locks && lock, end)
      host.accept(line!, hello)
    }
  }
}
