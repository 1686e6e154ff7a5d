import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { numberOf } from './follower.ts'
import type { Chance } from './random.ts'
import { call, type Entrance, type Site } from './relay.ts'

/** Milliseconds that the answer to a question takes: long enough for events to come in between. */
const ANSWER_TAKES = 20
const FIRST_RETRY = 1000
/** The relay answers within 5 s (CONTRACT 27); the rest is for a busy machine. */
const ANSWERS_WITHIN = 6000

/**
 * A site's own server, as DESIGN §7 (b) and docs/http-api.md want it: it saves each event, then publishes it, from an
 * outbox that keeps each chain's order and repeats a call with its id until the relay has answered.
 */
export class Origin {
  // Origins of tests that share a Redis must not have ids in common: a repeat is not published.
  readonly #name = randomBytes(4).toString('hex')
  readonly #token: string
  readonly #nodes: () => readonly Entrance[]
  readonly #chance: Chance
  readonly #saved = new Map<string, string[]>()
  readonly #outbox = new Map<string, string[]>()
  #open = true
  /** Answers that docs/http-api.md does not allow: a test wants none. */
  readonly faults: string[] = []
  refused = 0

  /** `nodes` names those that are up now, as a load balancer knows them. */
  constructor(site: Site, nodes: () => readonly Entrance[], chance: Chance) {
    this.#token = site.server()
    this.#nodes = nodes
    this.#chance = chance
  }

  /** Saves an event, and publishes it when those of its chain before it are. */
  save(chain: string): void {
    const saved = this.#saved.get(chain) ?? []
    this.#saved.set(chain, saved)
    const id = `${this.#name}.${chain}.${saved.length + 1}`
    saved.push(id)
    const waiting = this.#outbox.get(chain)
    if (waiting !== undefined) waiting.push(id)
    else {
      this.#outbox.set(chain, [id])
      void this.#work(chain)
    }
  }

  /** Answers a client's question: the ids of all events of a chain after the one with this number. */
  async after(chain: string, number: number): Promise<readonly string[]> {
    const answer = this.saved(chain).slice(number)
    await sleep(ANSWER_TAKES)
    return answer
  }

  saved(chain: string): readonly string[] {
    return this.#saved.get(chain) ?? []
  }

  /** How many events have been saved, and how many of them are not yet published. */
  get counts(): { saved: number; waiting: number } {
    const count = (lists: Map<string, string[]>): number =>
      [...lists.values()].reduce((sum, list) => sum + list.length, 0)
    return { saved: count(this.#saved), waiting: count(this.#outbox) }
  }

  close(): void {
    this.#open = false
  }

  async #work(chain: string): Promise<void> {
    const waiting = this.#outbox.get(chain)!
    for (let attempt = 0; this.#open && waiting.length > 0; ) {
      const pause = await this.#publish(chain, waiting[0]!, attempt)
      if (pause === undefined) {
        waiting.shift()
        attempt = 0
      } else {
        attempt++
        await sleep(pause)
      }
    }
    this.#outbox.delete(chain)
  }

  /** Returns undefined when it is published, else how long to wait. */
  async #publish(chain: string, id: string, attempt: number): Promise<number | undefined> {
    const nodes = this.#nodes()
    if (nodes.length === 0) return FIRST_RETRY
    const body = { to: targetOf(chain), type: 'message', id, data: { number: numberOf(id) } }
    const begun = performance.now()
    try {
      const { status, headers } = await call(this.#chance.pick(nodes), this.#token, '/v1/publish', body)
      const took = performance.now() - begun
      if (took > ANSWERS_WITHIN) this.faults.push(`an answer (${status}) took ${Math.round(took)} ms`)
      if (status === 200) return undefined
      this.refused++
      // A proxy's word for a node that went away with the call.
      if (status === 502) return FIRST_RETRY
      const retryAfter = Number(headers.get('retry-after'))
      if (status !== 503 || !(retryAfter > 0)) this.faults.push(`${status}, Retry-After ${headers.get('retry-after')}`)
      return retryAfter * 1000
    } catch {
      // No answer: the node went away.
      return Math.min(FIRST_RETRY * 2 ** attempt, 60_000)
    }
  }
}

function targetOf(chain: string): object {
  const [kind, id] = chain.split(':')
  return kind === 'thread' ? { thread: id } : kind === 'user' ? { users: [id] } : { site: true }
}
