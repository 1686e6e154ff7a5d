import { after } from '../lib/clock.ts'

/**
 * Whether a node still hears itself. A subscriber connection can look healthy for minutes after the other side has gone
 * (half-open TCP; ioredis #1451), so the node publishes a tick to a channel of its own, on each primary, and counts
 * those that do not come back.
 */
export class Pulse {
  /** Ticks in a row that may be missing before the bus counts as down. */
  static readonly ALLOWED = 3
  #missing = new Map<string, number>()
  #sentAt = 0
  #waiting: (() => void) | undefined

  get channels(): string[] {
    return [...this.#missing.keys()]
  }

  /** Whether a tick is missing on any channel more often than allowed. */
  get lost(): boolean {
    return [...this.#missing.values()].some(count => count >= Pulse.ALLOWED)
  }

  /** Begins anew with these channels. */
  reset(channels: readonly string[]): void {
    this.#missing = new Map(channels.map(channel => [channel, 0]))
  }

  /** To be called when a tick is sent to all channels, at `now` in milliseconds. */
  sent(now: number): void {
    this.#sentAt = now
    for (const [channel, count] of this.#missing) this.#missing.set(channel, count + 1)
  }

  /** To be called when a tick came back. Returns how long it took in milliseconds, or undefined if the channel is not one. */
  heard(channel: string, now: number): number | undefined {
    if (!this.#missing.has(channel)) return undefined
    this.#missing.set(channel, 0)
    if (this.#all()) this.#waiting?.()
    return now - this.#sentAt
  }

  /** Resolves when the last tick has come back on all channels; rejects when it has not within `ms`. */
  async complete(ms: number): Promise<void> {
    if (this.#all()) return
    await new Promise<void>((resolve, reject) => {
      const cancel = after(ms, () => reject(new Error('a tick did not come back')))
      this.#waiting = () => {
        cancel()
        resolve()
      }
    })
  }

  #all(): boolean {
    return [...this.#missing.values()].every(count => count === 0)
  }
}
