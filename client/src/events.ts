import type { EventFrame, Sender } from './frames.ts'
import type { FetchedEvent } from './port.ts'

/** An event as listeners get it. */
export interface RelayEvent<Data = unknown> {
  readonly type: string
  readonly id: string
  readonly data: Data
  readonly thread?: string
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

/** Returns the event for listeners, with nothing in it but what is known. */
export function toEvent(told: EventFrame | FetchedEvent, from: RelayEvent['from'], chain = told.chain): RelayEvent {
  const event: Record<string, unknown> = { data: null, from, id: String(told.id), chain }
  for (const key of ['type', 'data', 'at', 'sender', 'thread'] as const) {
    const value = (told as EventFrame)[key]
    if (value !== undefined) event[key] = value
  }
  event['thread'] ??= threadOf(chain)
  for (const key in event) if (event[key] === undefined) delete event[key]
  return event as unknown as RelayEvent
}

/** Tells an application's listeners. What one of them throws is reported and stops nobody. */
export interface Emitter {
  /** Returns a function that takes the listener off. */
  on(name: string, listener: (value: never) => void): () => void
  emit(name: string, value: unknown): void
  /** Takes all listeners off. */
  clear(): void
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
