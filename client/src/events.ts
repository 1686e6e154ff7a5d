import type { EventFrame, Sender } from './frames.ts'
import type { FetchedEvent } from './port.ts'

/** An event as listeners get it. */
export interface RelayEvent<Data = unknown> {
  readonly type: string
  readonly id: string
  readonly data: Data
  readonly thread?: string | undefined
  /** Milliseconds since 1970: when the relay took it. */
  readonly at?: number
  /** Of the origin's events: `thread:42`, `user` or `site`. */
  readonly chain?: string
  /** Of the events that clients send: who sent it, in the relay's word. */
  readonly sender?: Sender
  readonly from: 'live' | 'fetched'
}

/** Returns the thread that a chain is of. */
export const threadOf = (chain: string | undefined): string | undefined =>
  chain?.startsWith('thread:') ? chain.slice(7) : undefined

/** Returns the event for listeners, without what only the client needs. */
export function toEvent(told: EventFrame | FetchedEvent, from: RelayEvent['from'], chain = told.chain): RelayEvent {
  const { op: _op, stamp: _stamp, prev: _prev, receipt: _receipt, shared: _shared, ...event } = told as Inner
  return { data: null, thread: threadOf(chain), ...event, ...(chain && { chain }), id: String(event.id), from }
}

type Inner = Omit<EventFrame, 'id'> & { readonly id: string | number; readonly type: string; readonly shared?: boolean }

/** Tells an application's listeners. What one of them throws is reported and stops nobody. */
export interface Emitter {
  /** Returns a function that takes the listener off. */
  on: (name: string, listener: (value: never) => void) => () => void
  emit: (name: string, value: unknown) => void
  /** Takes all listeners off. */
  clear: () => void
}

export function createEmitter(): Emitter {
  const listeners = new Set<readonly [string, (value: never) => void]>()
  return {
    on(name, listener) {
      const entry = [name, listener] as const
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    emit(name, value) {
      for (const entry of listeners) {
        if (entry[0] !== name) continue
        try {
          entry[1](value as never)
        } catch (error) {
          // Node has no reportError.
          ;(globalThis.reportError ?? console.error)(error)
        }
      }
    },
    clear: () => listeners.clear(),
  }
}

export function emitEvent({ emit }: Emitter, event: RelayEvent): void {
  emit('event', event)
  emit('event:' + event.type, event)
}
