import type { Entry } from './log.ts'
import type { RelayApi } from './relay-api.ts'

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 2000
// The event itself is at fault: it would be refused tomorrow as well. Everything else may heal.
const HOPELESS = new Set([400, 413, 422])

/**
 * What is saved but not yet published. A publish that fails makes no stamp, so no page could notice that it is missing:
 * hence it is repeated, with the same id, until the relay has answered (DESIGN.md section 7, edge b).
 *
 * One at a time and in order, so that a chain has the order of the ids: a page that saw event 7 must be able to rely on
 * having seen 6. A large site has one such queue per thread, and keeps it in its database.
 */
export class Outbox {
  readonly #api: RelayApi
  readonly #warn: (line: string) => void
  readonly #queue: Entry[] = []
  #isRunning = false
  #isClosed = false

  constructor(api: RelayApi, warn: (line: string) => void) {
    this.#api = api
    this.#warn = warn
  }

  /** Publishes what there is to tell, if there is something. */
  add(entry: Entry | undefined): void {
    if (entry === undefined) return
    this.#queue.push(entry)
    if (!this.#isRunning) void this.#run()
  }

  close(): void {
    this.#isClosed = true
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      await this.#publishUntilAnswered(next)
      if (this.#isClosed) return
      this.#queue.shift()
    }
    this.#isRunning = false
  }

  async #publishUntilAnswered(entry: Entry): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++) {
      const { status, body } = await this.#api.post('/v1/publish', eventOf(entry))
      if (status === 200) {
        entry.stamp = (body as { stamps: Record<string, number> }).stamps[entry.chain]
        return
      }
      if (HOPELESS.has(status)) return this.#warn(`The relay refused event ${entry.id} (HTTP ${status}).`)
      const limit = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt)
      await new Promise(resolve => setTimeout(resolve, Math.random() * limit))
    }
  }
}

/** Returns an entry as the relay takes it. The author of a message is told when it has been delivered. */
function eventOf({ id, chain, type, data }: Entry): object {
  const [kind, name = ''] = chain.split(':')
  const to = kind === 'thread' ? { thread: name } : { users: [name] }
  return { to, type, id, data, ...(type === 'message' && { receipt_to: data.author }) }
}
