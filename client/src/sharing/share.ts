import { directPort } from '../direct.ts'
import { createHub, type HubOptions } from '../hub.ts'
import type { Port } from '../port.ts'
import { inWorker } from './in-worker.ts'
import { amongTabs } from './among-tabs.ts'
import { VERSION } from './line.ts'
import { locks } from './locks.ts'
import type { Way } from './way.ts'

export interface ShareOptions {
  readonly share: 'auto' | 'worker' | 'leader' | 'none'
  /** Where the script build is served, on the page's own origin. */
  readonly workerUrl: string | undefined
  readonly hub: HubOptions
  /** Whom the page is for: pages of different ones never share. If it rejects or is '', nothing is shared. */
  readonly identity: () => Promise<string>
  /** Whether the page can be asked for what was missed: one that cannot would answer for others that there is nothing. */
  readonly canFetch: boolean
}

/** So many lines that nobody opens are followed by another: a worker that is about to end takes no new tab. */
const MORE_TRIES = 1

/**
 * Opens a port to the hub that this page shares with the browser's other pages of the same relay and user. The client
 * keeps it; behind it there is another one when the leader changes or the worker is gone, another way when one fails,
 * and none while the page is frozen or in the back-forward cache.
 */
export function openPort({ share, workerUrl, hub, identity, canFetch }: ShareOptions): Port {
  const closed = new AbortController()
  const { signal } = closed
  /** Those that have not failed, the best first. None as long as it is not known with whom to share. */
  const ways: (() => Way)[] = []
  let way: Way | undefined
  let inner: Port | undefined
  let unanswered = 0

  const renew = (): void => {
    inner?.close()
    inner = way?.open()
    if (!inner) return
    inner.onopen = () => {
      unanswered = 0
      port.onopen()
    }
    inner.onmessage = message => port.onmessage(message)
  }
  const enter = (): void => {
    if (way || signal.aborted) return
    way = ways[0]?.()
    renew()
  }
  const leave = (): void => {
    inner?.close()
    way?.close()
    inner = way = undefined
  }
  const fail = (why: string): void => {
    const message = `${way?.steal ? 'no leading tab' : workerUrl}: ${why}`
    leave()
    ways.shift()
    unanswered = 0
    port.onmessage({ op: 'error', error: { code: 'sharing_failed', message } })
    enter()
  }
  const onlost = (wasOpen: boolean): void => {
    if (wasOpen || ++unanswered > MORE_TRIES) {
      if (way?.steal) way.steal()
      else if (!wasOpen) return fail('no answer')
    }
    renew()
  }

  const begin = (who?: string): void => {
    const name = ['throughline', VERSION, hub.url, who, hub.pollSeconds, canFetch].join(' ')
    const parts = { name, hub, onchange: renew, onlost, onfail: fail }
    if (who) {
      // A class that the page brings is not known to a worker.
      if (share !== 'leader' && workerUrl && 'SharedWorker' in globalThis && !hub.WebSocket)
        ways.push(() => inWorker(workerUrl, parts))
      if (locks && 'BroadcastChannel' in globalThis) ways.push(() => amongTabs(parts))
    }
    ways.push(() => ({ open: () => directPort(createHub(hub)), close() {} }))
    enter()
  }

  const port: Port = {
    onopen() {},
    onmessage() {},
    post: message => inner?.post(message),
    close() {
      closed.abort()
      leave()
    },
  }
  const isPage = 'onpageshow' in globalThis
  if (isPage) {
    // A page that is frozen or in the back-forward cache may hold nothing that others wait for, and hears nothing.
    const how = { signal, capture: true }
    for (const event of ['pagehide', 'freeze']) addEventListener(event, leave, how)
    for (const event of ['pageshow', 'resume']) addEventListener(event, enter, how)
  }
  if (isPage && share !== 'none') identity().then(begin, () => begin())
  else begin()
  return port
}
