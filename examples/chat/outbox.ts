import type { Message } from './store.ts'
import { type SecretKey, serverToken } from './tokens.ts'

export interface OutboxOptions {
  readonly site: string
  readonly key: SecretKey
  /** Where the relay's HTTP API is, such as `http://127.0.0.1:8081`. */
  readonly api: string
  readonly warn: (line: string) => void
}

const TIMEOUT_MS = 6000 // the relay itself answers within 5 s, even when its bus is down
const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 5000
// The event itself is at fault: it would be refused tomorrow as well. Everything else may heal.
const HOPELESS = new Set([400, 413, 422])

/**
 * What is saved but not yet published. A publish that fails makes no stamp, so no page could notice that it is missing:
 * hence it is repeated, with the same id, until the relay has answered (DESIGN.md section 7, edge b).
 *
 * One at a time and in order, so that the chain has the order of the message ids: a page that saw message 7 must be
 * able to rely on having seen 6. A large site has one such queue per thread, and keeps it in its database.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #queue: { message: Message; except: string | undefined }[] = []
  #running = false
  #closed = false

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Publishes a message. `except` is the connection that wrote it: it is told the event's place, not its content. */
  add(message: Message, except: string | undefined): void {
    this.#queue.push({ message, except })
    if (!this.#running) void this.#run()
  }

  close(): void {
    this.#closed = true
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      await this.#publishUntilAnswered(next.message, next.except)
      if (this.#closed) return
      this.#queue.shift()
    }
    this.#running = false
  }

  async #publishUntilAnswered(message: Message, except: string | undefined): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      const status = await this.#publish(message, except)
      if (status === 200) return
      if (HOPELESS.has(status)) {
        this.#options.warn(`The relay refused message ${message.id} (HTTP ${status}).`)
        return
      }
      const limit = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt)
      await new Promise(resolve => setTimeout(resolve, Math.random() * limit))
    }
  }

  /** Returns the HTTP status of one attempt, or 0 if there was no answer. */
  async #publish(message: Message, except: string | undefined): Promise<number> {
    const { site, key, api } = this.#options
    const { id, thread } = message
    try {
      const response = await fetch(`${api}/v1/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serverToken(site, key)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ to: { thread }, type: 'message', id, data: message, except }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    }
  }
}
