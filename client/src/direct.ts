import type { Hub } from './hub.ts'
import type { Port, TabPort, ToHub, ToTab } from './port.ts'

/** Returns a port to a hub in the same page. Messages arrive in a later microtask, so neither end calls back into the other. */
export function directPort(hub: Hub): Port {
  let isOpen = true
  const later = (deliver: () => void): void => queueMicrotask(() => isOpen && deliver())
  const tab: TabPort = {
    onmessage() {},
    onclose() {},
    post: (message: ToTab) => later(() => port.onmessage(message)),
    close() {
      // What was posted before still arrives.
      queueMicrotask(() => {
        isOpen = false
      })
    },
  }
  const port: Port = {
    onopen() {},
    onmessage() {},
    post: (message: ToHub) => later(() => tab.onmessage(message)),
    close() {
      if (isOpen) {
        isOpen = false
        tab.onclose()
      }
    },
  }
  later(() => {
    hub.attach(tab)
    port.onopen()
  })
  return port
}
