import { chunks } from '../lib/arrays.ts'
import { after, type Cancel, endOfTick, every, sleep } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { EventId, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Callback, Trust } from '../trust/trust.ts'
import { configOf, crossing, delivered, type News, wants } from './facts.ts'
import type { Batch, CallbackQueue, Fact, Next, Outcome } from './queue.ts'
import { CLOSE, LEASE } from './queue.ts'
import { send, type SendParts } from './send.ts'
import { type Slot, Slots } from './slots.ts'
import { type Deed, steer } from './steer.ts'

export interface CallbacksOptions extends SendParts {
  readonly queue: CallbackQueue
  readonly trust: Pick<Trust, 'findSite'>
  readonly newEventId: () => EventId
  readonly metrics: Metrics
  readonly log: Log
}

/** Facts that may wait here while Redis is away; more are dropped. */
const WAITING = 20_000
/** Facts that are put into a queue at once. */
const AT_ONCE = 200
/** Milliseconds after which Redis is tried again. */
const PAUSE = 1000
/** Milliseconds after which sites are looked for that nobody is at. */
const LOOK = 5000
const RENEWAL = LEASE / 3
/** Milliseconds that a closing node gives to what is under way. */
const CLOSING = 5000
const SLOTS = { quick: 256, late: 1024, lateAfterMs: 500, failing: 256 }

interface Seen {
  readonly site: SiteId
  readonly depth: number
  /** Milliseconds since the epoch. */
  readonly oldest: number | undefined
}

/** Tells sites what happens to their users (DESIGN §10). A site is told by whichever node takes it, one batch after the other. */
export class Callbacks {
  readonly #options: CallbacksOptions
  readonly #slots = new Slots(SLOTS)
  readonly #outbox = new Map<SiteId, Fact[]>()
  readonly #adding = new Set<SiteId>()
  readonly #timers = new Map<SiteId, { readonly at: number; readonly cancel: Cancel }>()
  /** Sites that wait for a slot, the longest first; those that failed last have others. */
  readonly #ready = new Set<SiteId>()
  readonly #readyToFail = new Set<SiteId>()
  readonly #failing = new Set<SiteId>()
  readonly #working = new Set<SiteId>()
  /** Of these something came that may have been too late for what is under way. */
  readonly #again = new Set<SiteId>()
  readonly #taken = new Map<SiteId, Batch>()
  readonly #cancels: readonly Cancel[]
  #waiting = 0
  #closing = false
  #seen: readonly Seen[] = []
  /** Facts that were given up since it was logged last. */
  readonly #dropped = new Map<SiteId, number>()

  constructor(options: CallbacksOptions) {
    this.#options = options
    this.#cancels = [
      every(LOOK, () => void this.#look()),
      every(LOOK, () => this.#tellDropped()),
      every(RENEWAL, () => void this.#renew()),
    ]
    void this.#look()
  }

  /** The queues of sites which this node is telling, or failed to tell, as of the last look: how many facts, how old the oldest. */
  get queues(): readonly { readonly site: SiteId; readonly depth: number; readonly ageSeconds: number }[] {
    const now = this.#options.clock.now()
    return this.#seen.map(({ site, depth, oldest }) => ({
      site,
      depth,
      ageSeconds: oldest === undefined ? 0 : Math.max(0, (now - oldest) / 1000),
    }))
  }

  crossed(topic: Topic, occupied: boolean, version: number): void {
    const { site, news } = crossing(topic, occupied, version)
    this.tell(site, news)
  }

  delivered(site: SiteId, thread: ThreadId | undefined, user: UserId, events: readonly EventId[]): void {
    const now = this.#options.clock.now()
    for (const event of events) this.tell(site, delivered(event, user, thread, now))
  }

  /** Takes note of something, for a site that wants to hear of it. A fact keeps its id. */
  tell(site: SiteId, news: News | Fact): void {
    const found = this.#options.trust.findSite(site)
    // Of a site that has to be looked for it is decided later.
    if (!(found instanceof Promise) && !wants(found?.callback, news.type)) return
    if (this.#waiting >= WAITING) return this.#drop(site, 1)
    this.#waiting++
    const fact = { id: this.#options.newEventId(), ...news }
    const facts = this.#outbox.get(site)
    if (facts === undefined) this.#outbox.set(site, [fact])
    else facts.push(fact)
    void this.#add(site)
  }

  /** As steer.ts has it. */
  async steer(site: SiteId, deed: Deed | 'show'): Promise<object> {
    const answer = await steer(this.#options, site, deed)
    if (deed === 'retry' || deed === 'resume') this.#wake(site, 0)
    return answer
  }

  /** Ends when what is under way has been told, or has taken too long: then another node does it. */
  async close(): Promise<void> {
    const { clock, poster } = this.#options
    const until = clock.now() + CLOSING
    while (this.#isBusy() && clock.now() < until) await sleep(20)
    this.#closing = true
    for (const cancel of this.#cancels) cancel()
    for (const { cancel } of this.#timers.values()) cancel()
    this.#tellDropped()
    await poster.close()
  }

  #isBusy(): boolean {
    const soon = this.#options.clock.now() + CLOSE.ms
    const waits = [...this.#timers].some(([site, { at }]) => at <= soon && !this.#failing.has(site))
    return this.#adding.size + this.#working.size + this.#ready.size > 0 || waits
  }

  async #callbackOf(site: SiteId): Promise<Callback | undefined> {
    return (await this.#options.trust.findSite(site))?.callback
  }

  /** Puts what waits for a site into its queue, one part after the other, and in order. */
  async #add(site: SiteId): Promise<void> {
    if (this.#adding.has(site)) return
    this.#adding.add(site)
    await endOfTick()
    for (let facts = this.#outbox.get(site); facts !== undefined; facts = this.#outbox.get(site)) {
      this.#outbox.delete(site)
      this.#waiting -= facts.length
      const rest = await this.#addAll(site, facts)
      if (rest.length === 0) continue
      this.#waiting += rest.length
      this.#outbox.set(site, [...rest, ...(this.#outbox.get(site) ?? [])])
      if (this.#closing) break
      await new Promise<void>(resolve => {
        after(PAUSE, resolve)
      })
    }
    this.#adding.delete(site)
  }

  /** Returns what could not be put there. */
  async #addAll(site: SiteId, facts: readonly Fact[]): Promise<readonly Fact[]> {
    const callback = await this.#callbackOf(site)
    const wanted = facts.filter(({ type }) => wants(callback, type))
    for (const [i, part] of chunks(wanted, AT_ONCE).entries()) {
      try {
        this.#follow(site, await this.#options.queue.add(site, configOf(callback!), part))
      } catch (error) {
        this.#options.log.debug({ site, ...errorFacts(error) }, 'facts for a callback could not be queued')
        return wanted.slice(i * AT_ONCE)
      }
    }
    return []
  }

  #follow(site: SiteId, { waitMs, dropped }: Next): void {
    if (dropped > 0) this.#drop(site, dropped)
    if (waitMs !== undefined) this.#wake(site, waitMs)
  }

  #wake(site: SiteId, waitMs: number): void {
    if (this.#closing) return
    const at = this.#options.clock.now() + waitMs
    const timer = this.#timers.get(site)
    if (timer !== undefined && timer.at <= at) return
    timer?.cancel()
    const cancel = after(waitMs, () => {
      this.#timers.delete(site)
      if (this.#working.has(site)) this.#again.add(site)
      else (this.#failing.has(site) ? this.#readyToFail : this.#ready).add(site)
      this.#start()
    })
    this.#timers.set(site, { at, cancel })
  }

  #start(): void {
    if (this.#closing) return
    for (const ready of [this.#ready, this.#readyToFail]) {
      for (const site of ready) {
        const slot = this.#slots.take(ready === this.#readyToFail, () => this.#start())
        if (slot === undefined) break
        ready.delete(site)
        this.#working.add(site)
        void this.#work(site, slot).then(next => {
          this.#working.delete(site)
          slot.release()
          this.#follow(site, next)
          if (this.#again.delete(site)) this.#wake(site, 0)
          this.#start()
        })
      }
    }
  }

  /** Tells a site its next batch, if there is one. Never rejects. */
  async #work(site: SiteId, slot: Slot): Promise<Next> {
    const { queue, log, metrics, clock } = this.#options
    try {
      const callback = await this.#callbackOf(site)
      if (callback === undefined) return { waitMs: undefined, dropped: 0 }
      const batch = await queue.take(site)
      if (!('body' in batch)) {
        // Nothing is left, or another node is at it and knows better.
        if (batch.waitMs === undefined) this.#failing.delete(site)
        return batch
      }
      this.#taken.set(site, batch)
      if (batch.attempt > 1) {
        // Another node may have failed there.
        this.#failing.add(site)
        slot.late()
      }
      const start = clock.now()
      const outcome = await send(this.#options, callback, batch)
      metrics.callback(site, outcome.kind, (clock.now() - start) / 1000)
      this.#note(site, batch, outcome)
      return await queue.done(site, configOf(callback), batch, outcome)
    } catch (error) {
      log.debug({ site, ...errorFacts(error) }, 'the queue of a callback could not be reached')
      return { waitMs: PAUSE, dropped: 0 }
    } finally {
      this.#taken.delete(site)
    }
  }

  #note(site: SiteId, { attempt }: Batch, outcome: Outcome): void {
    const { log } = this.#options
    if (outcome.kind === 'ok') {
      this.#failing.delete(site)
      if (attempt > 1) log.info({ site, attempt }, 'callbacks are taken again')
      return
    }
    if (outcome.kind === 'retry') this.#failing.add(site)
    const facts = { site, attempt, error: outcome.error }
    if (outcome.kind === 'gone') log.warn(facts, 'callbacks are not wanted any more, until the site is configured anew')
    else if (attempt === 1) log.warn(facts, 'a callback failed, and is tried again')
    else log.debug(facts, 'a callback failed again')
  }

  #drop(site: SiteId, facts: number): void {
    this.#options.metrics.callbacksDropped(site, facts)
    this.#dropped.set(site, (this.#dropped.get(site) ?? 0) + facts)
  }

  /** One line for a site, however many facts there were. */
  #tellDropped(): void {
    for (const [site, facts] of this.#dropped) {
      this.#options.log.warn({ site, facts }, 'facts for a callback were given up')
    }
    this.#dropped.clear()
  }

  async #renew(): Promise<void> {
    if (this.#taken.size > 0) await this.#options.queue.renew(this.#taken).catch(() => {})
  }

  /** Looks for sites that nobody is at, and at how the own ones stand. */
  async #look(): Promise<void> {
    const { queue } = this.#options
    try {
      for (const site of await queue.due()) if (!this.#working.has(site)) this.#wake(site, 0)
      // Whose batch is just closing does not wait.
      const own = new Set([...this.#ready, ...this.#failing, ...this.#working])
      this.#seen = await Promise.all(
        [...own].map(async site => {
          const { depth, oldest } = await queue.status(site)
          return { site, depth, oldest }
        }),
      )
    } catch {
      // Redis is away, as the bus says in the log.
    }
  }
}
