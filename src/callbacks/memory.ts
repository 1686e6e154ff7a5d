import type { Clock } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import type { SiteId } from '../protocol/ids.ts'
import { bodyOf, factText, newBatchId, OVERHEAD } from './body.ts'
import {
  type Batch,
  type CallbackQueue,
  CLOSE,
  type Fact,
  LONGEST,
  MOST,
  type Next,
  type Outcome,
  type QueueStatus,
  STATES,
  VERSIONS,
} from './queue.ts'

interface Waiting {
  readonly place: number
  readonly since: number
  readonly text: string
  readonly state: string | undefined
}

interface Line {
  /** By place, in order. */
  readonly facts: Map<number, Waiting>
  /** Places of waiting states. */
  readonly states: Map<string, number>
  readonly versions: Map<string, number>
  tried: { readonly id: string; readonly last: number } | undefined
  token: string | undefined
  failures: number
  next: number
  error: QueueStatus['error']
  gone: string | undefined
  paused: boolean
}

const NOTHING: Next = { waitMs: undefined, dropped: 0 }

/** The queue of one process, gone with it. */
export class MemoryQueue implements CallbackQueue {
  readonly #clock: Clock
  readonly #lines = new Map<SiteId, Line>()
  #place = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async add(site: SiteId, config: string, facts: readonly Fact[]): Promise<Next> {
    const line = this.#line(site)
    if (line.gone === config) return { waitMs: undefined, dropped: facts.length }
    if (line.gone !== undefined) Object.assign(line, { gone: undefined, error: undefined })
    const now = this.#clock.now()
    forget(line, (now - VERSIONS) * 1000)
    const old = forgetOld(line, now)
    const dropped = old + facts.filter(fact => !this.#put(line, fact, now)).length
    const isFree = line.facts.size > 0 && line.token === undefined && !line.paused && line.next <= now
    return { waitMs: isFree ? (line.facts.size < CLOSE.facts ? CLOSE.ms : 0) : undefined, dropped }
  }

  async take(site: SiteId): Promise<Batch | Next> {
    const line = this.#line(site)
    if (line.token !== undefined || line.gone !== undefined || line.paused) return NOTHING
    const now = this.#clock.now()
    const old = forgetOld(line, now)
    if (line.facts.size === 0) {
      Object.assign(line, { tried: undefined, failures: 0, next: 0 })
      return { waitMs: undefined, dropped: old }
    }
    if (line.next > now) return { waitMs: line.next - now, dropped: old }
    const facts = chosen(line)
    const [first] = facts as [Waiting]
    const closes = first.since + CLOSE.ms
    const isFull = facts.length === CLOSE.facts || facts.length < line.facts.size
    if (line.tried === undefined && !isFull && closes > now) return { waitMs: closes - now, dropped: old }
    line.tried ??= { id: newBatchId(), last: facts.at(-1)!.place }
    line.token = randomId(9)
    const body = bodyOf(
      site,
      facts.map(({ text }) => text),
    )
    const { id, last } = line.tried
    return { id, body, token: line.token, last: String(last), attempt: line.failures + 1 }
  }

  async renew(): Promise<void> {
    // Nobody else would take it.
  }

  async done(site: SiteId, config: string, { token, last }: Batch, outcome: Outcome): Promise<Next> {
    const line = this.#line(site)
    if (line.token !== token) return NOTHING
    line.token = undefined
    const now = this.#clock.now()
    if (outcome.kind === 'ok') {
      for (const fact of line.facts.values()) if (fact.place <= Number(last)) remove(line, fact)
      Object.assign(line, { tried: undefined, failures: 0, next: 0, error: undefined })
      const [first] = line.facts.values()
      if (first === undefined || line.paused) return NOTHING
      const wait = line.facts.size < CLOSE.facts ? Math.max(0, first.since + CLOSE.ms - now) : 0
      return { waitMs: wait, dropped: 0 }
    }
    line.error = { at: now, message: outcome.error }
    if (outcome.kind === 'retry') {
      line.failures++
      line.next = now + outcome.delayMs
      return line.paused ? NOTHING : { waitMs: outcome.delayMs, dropped: 0 }
    }
    const dropped = line.facts.size
    clear(line)
    line.gone = config
    return { waitMs: undefined, dropped }
  }

  async due(): Promise<SiteId[]> {
    const now = this.#clock.now()
    return [...this.#lines]
      .filter(([, line]) => line.facts.size > 0 && line.token === undefined && !line.paused && line.next <= now)
      .map(([site]) => site)
  }

  async status(site: SiteId): Promise<QueueStatus> {
    const { facts, token, next, error, gone, paused } = this.#line(site)
    const [first] = facts.values()
    const holds = [paused, gone !== undefined, token !== undefined, facts.size > 0, true]
    return {
      state: STATES[holds.indexOf(true)]!,
      depth: facts.size,
      oldest: first?.since,
      next: next > this.#clock.now() ? next : undefined,
      error,
    }
  }

  async retry(site: SiteId): Promise<void> {
    Object.assign(this.#line(site), { next: 0, gone: undefined })
  }

  async pause(site: SiteId): Promise<void> {
    this.#line(site).paused = true
  }

  async resume(site: SiteId): Promise<void> {
    Object.assign(this.#line(site), { next: 0, paused: false })
  }

  async drop(site: SiteId): Promise<number> {
    const line = this.#line(site)
    const dropped = line.facts.size
    clear(line)
    return dropped
  }

  #line(site: SiteId): Line {
    let line = this.#lines.get(site)
    if (line === undefined) {
      line = {
        facts: new Map(),
        states: new Map(),
        versions: new Map(),
        tried: undefined,
        token: undefined,
        failures: 0,
        next: 0,
        error: undefined,
        gone: undefined,
        paused: false,
      }
      this.#lines.set(site, line)
    }
    return line
  }

  /** Returns false when there is no room. */
  #put(line: Line, fact: Fact, now: number): boolean {
    const { state } = fact
    if (state !== undefined) {
      if ((line.versions.get(state.name) ?? -1) >= state.version) return true
      const before = line.facts.get(line.states.get(state.name) ?? -1)
      if (before !== undefined) {
        remove(line, before)
        if (line.tried !== undefined && before.place <= line.tried.last) line.tried = undefined
      }
    }
    if (line.facts.size >= (state === undefined ? MOST.happenings : MOST.all)) return false
    const place = ++this.#place
    line.facts.set(place, { place, since: now, text: factText(fact), state: state?.name })
    if (state !== undefined) {
      line.states.set(state.name, place)
      // Anew, so that the oldest stand at the front.
      line.versions.delete(state.name)
      line.versions.set(state.name, state.version)
    }
    return true
  }
}

function clear(line: Line): void {
  line.facts.clear()
  line.states.clear()
  Object.assign(line, { tried: undefined, failures: 0, next: 0 })
}

function remove({ facts, states }: Line, { place, state }: Waiting): void {
  facts.delete(place)
  if (state !== undefined && states.get(state) === place) states.delete(state)
}

/** Removes what has waited for too long, and returns how many facts that were. */
function forgetOld(line: Line, now: number): number {
  let old = 0
  for (const fact of line.facts.values()) {
    if (fact.since >= now - LONGEST) break
    remove(line, fact)
    old++
  }
  if (old > 0) line.tried = undefined
  return old
}

function forget({ versions }: Line, before: number): void {
  for (const [name, version] of versions) {
    if (version >= before) return
    versions.delete(name)
  }
}

/** Returns what goes into the next body: what was tried, or as much as there is room for. */
function chosen({ facts, tried }: Line): Waiting[] {
  const found: Waiting[] = []
  let bytes = 0
  for (const fact of facts.values()) {
    bytes += fact.text.length + 1
    const isFull = found.length === CLOSE.facts || (found.length > 0 && bytes > CLOSE.bytes - OVERHEAD)
    if (tried === undefined ? isFull : fact.place > tried.last) break
    found.push(fact)
  }
  return found
}
