import { directPort } from '../direct.ts'
import { createHub, type Hub, type HubOptions } from '../hub.ts'
import { createHost, type Host } from './host.ts'
import type { Hello } from './line.ts'
import { openLine } from './line-port.ts'
import type { Way } from './way.ts'

export interface LeaderOptions {
  /** Shared by the tabs that may share a session: the name of the lock that the leader holds, and of the channel. */
  readonly name: string
  readonly hub: HubOptions
  /** Another tab leads, perhaps this one: a port is to be opened anew. */
  readonly onchange: () => void
  readonly onlost: (wasOpen: boolean) => void
  readonly onfail: (why: string) => void
}

/**
 * The way of a tab among others, one of which leads: who holds the lock has the hub. The others wait in the lock's
 * queue, so that one takes over when the leader goes, however it goes. A leader that holds the lock and answers nobody
 * (a browser can suspend a page without telling it) is robbed of it.
 */
export function amongTabs({ name, hub: options, onchange, onlost, onfail }: LeaderOptions): Way {
  const channel = new BroadcastChannel(name)
  let leading: { readonly hub: Hub; readonly host: Host } | undefined
  /** Our place in the queue; another when we steal or stand again. */
  let turn = new AbortController()

  const resign = (): void => {
    leading?.host.close()
    leading = undefined
  }
  const stand = (steal: boolean): void => {
    turn.abort()
    turn = new AbortController()
    const { signal } = turn
    const lead = async (): Promise<void> => {
      if (signal.aborted) return
      const hub = createHub(options)
      leading = { hub, host: createHost(hub) }
      channel.postMessage(null)
      onchange()
      await new Promise(resolve => signal.addEventListener('abort', resolve))
    }
    navigator.locks.request(name, steal ? { steal } : { signal }, lead).catch(error => {
      if (signal.aborted) return
      resign()
      if (error.name !== 'AbortError') return onfail(String(error))
      stand(false) // robbed
      onchange()
    })
  }

  // The hello of a tab that looks for the leader, or nothing from a new leader.
  channel.onmessage = async ({ data: hello }: MessageEvent<Hello | null>) => {
    if (!hello) return onchange()
    if (!leading) return
    // One that was suspended and robbed meanwhile may read this before it learns of it. It has when this is answered.
    await navigator.locks.query()
    leading?.host.accept(new BroadcastChannel(name + hello.id), hello)
  }
  stand(false)

  return {
    open: () =>
      leading
        ? directPort(leading.hub)
        : openLine({
            hub: options,
            join(hello) {
              // Before the hello: the leader may answer it at once.
              const line = new BroadcastChannel(name + hello.id)
              channel.postMessage(hello)
              return line
            },
            onlost,
            onfail,
          }),
    steal: () => stand(true),
    close() {
      turn.abort()
      channel.close()
      resign()
    },
  }
}
