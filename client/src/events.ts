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

/** Returns the event for listeners, with what it has. */
export function toEvent(told: EventFrame | FetchedEvent, from: RelayEvent['from'], chain = told.chain): RelayEvent {
  const { id, type, data = null, at } = told
  const thread = told.thread ?? (chain?.startsWith('thread:') ? chain.slice(7) : undefined)
  const sender = 'sender' in told ? told.sender : undefined
  return {
    type: type as string,
    id: String(id),
    data,
    ...(thread !== undefined && { thread }),
    ...(at !== undefined && { at }),
    ...(chain !== undefined && { chain }),
    ...(sender !== undefined && { sender }),
    from,
  }
}

/** Tells an application's listeners. What one of them throws is reported and stops nobody. */
export class Emitter {
  #listeners = new Map<string, Set<(value: never) => void>>()

  /** Returns a function that takes the listener off. */
  on<T>(name: string, listener: (value: T) => void): () => void {
    // A function of its own, so that the same listener can be there twice and be taken off once.
    const own = (value: T): void => listener(value)
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(own))
    return () => void listeners.delete(own)
  }

  emit(name: string, value: unknown): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value as never)
      } catch (error) {
        report(error)
      }
    }
  }

  emitEvent(event: RelayEvent): void {
    this.emit('event', event)
    this.emit('event:' + event.type, event)
  }

  clear(): void {
    this.#listeners = new Map()
  }
}

function report(error: unknown): void {
  // Node has no reportError.
  if (typeof reportError === 'function') reportError(error)
  else console.error(error)
}
