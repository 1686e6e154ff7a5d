import type { FromTab } from './line.ts'
import { type LineOptions, openLine } from './line-port.ts'
import type { Way } from './way.ts'

/** The way to a hub in a SharedWorker, which the browser starts for the first tab. */
export function inWorker(url: string, { name, ...parts }: Omit<LineOptions, 'join'> & { name: string }): Way {
  return {
    open: () =>
      openLine({
        ...parts,
        join(hello, fail) {
          const worker = new SharedWorker(url, { name })
          worker.onerror = () => fail('it could not be loaded') // missing, no script, or forbidden by the page's policy
          worker.port.postMessage(['hello', hello] satisfies FromTab)
          return worker.port
        },
      }),
    close() {},
  }
}
