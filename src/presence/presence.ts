import { type Cancel, type Clock, every } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import { onlineFrame, presenceFrame } from '../protocol/encode.ts'
import type { SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import { Refusal } from '../protocol/refusal.ts'
import { onlineTopic, presenceTopic, threadOfPresence, type Topic, userOfOnline } from '../protocol/topic.ts'
import { Online } from './online.ts'
import { Own } from './own.ts'
import type { Change, PresenceStore, Snapshot, StoreListener } from './store.ts'
import type { Difference } from './view.ts'
import { Views } from './views.ts'

export interface PresenceOptions {
  readonly store: PresenceStore
  readonly clock: Clock
  readonly log: Log
  /** Sends a frame to the local subscribers of a topic. */
  readonly tell: (topic: Topic, frame: Buffer) => void
  /** Is told when a topic begins or ceases to have users: once in the cluster, as a rule (store.ts). */
  readonly crossed: StoreListener['crossed']
}

/**
 * Milliseconds for which changes are gathered. Nobody is sent more than four frames of one topic in any second: with 250 it
 * would be five when one comes a little late.
 */
const COALESCE = 280
/** Entries that are set at once: what is made for them is to be garbage before more of it is made. */
const PART = 500
/** Milliseconds that a user is still online after the last connection, so that a page reload is no flicker. */
const GRACE = 10_000
/** Milliseconds after which the store is tried again. */
const PAUSE = 1000
/** Seconds. */
const RETRY_AFTER = 2
/** Entries in Redis live for two days. */
const REPEAT = 12 * 3600_000

/** Who is in a thread, and who is online (DESIGN §9). What clients see follows from the store alone, so all nodes show the same. */
export class Presence implements StoreListener {
  readonly #options: PresenceOptions
  readonly #inThreads = new Own()
  readonly #online = new Online()
  readonly #views: Views
  readonly #timers: readonly Cancel[]
  #setting = false
  #pauseUntil = 0

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#views = new Views(options.store)
    options.store.listen(this)
    this.#timers = [every(COALESCE, () => this.#tick()), every(REPEAT, () => this.#forget(() => true))]
  }

  /** Users on this node, counted once for each thread that they are in. */
  get members(): number {
    return this.#inThreads.members
  }

  /** `info` is JSON. */
  joined(site: SiteId, thread: ThreadId, user: UserId, info: string | undefined): void {
    this.#inThreads.join(presenceTopic(site, thread), user, info)
  }

  left(site: SiteId, thread: ThreadId, user: UserId): void {
    this.#inThreads.leave(presenceTopic(site, thread), user)
  }

  connected(site: SiteId, user: UserId): void {
    this.#online.connected(onlineTopic(site, user))
  }

  disconnected(site: SiteId, user: UserId): void {
    this.#online.disconnected(onlineTopic(site, user), this.#options.clock.now() + GRACE)
  }

  /** Gets ready to tell who is at topics, which are followed already. While the bus is down that seems to be nobody. */
  open(topics: readonly Topic[]): Promise<void> {
    return this.#views.open(topics)
  }

  /** Returns who is at a topic that was opened. */
  see(topic: Topic): Pick<Snapshot, 'count' | 'members'> | undefined {
    return this.#views.get(topic)
  }

  /** To be called when topics are followed no more. */
  released(topics: readonly Topic[]): void {
    this.#views.close(topics)
  }

  /** Returns who is at topics, in the whole cluster. Rejects with `bus_down`. */
  async read(topics: readonly Topic[]): Promise<Snapshot[]> {
    try {
      return await this.#options.store.read(topics)
    } catch (error) {
      this.#options.log.debug({ error: errorFacts(error).error }, 'presence could not be read')
      throw new Refusal('bus_down', undefined, { retryAfter: RETRY_AFTER })
    }
  }

  changed(topic: Topic, change: Change): void {
    this.#views.changed(topic, change)
  }

  crossed(topic: Topic, occupied: boolean, version: number): void {
    this.#options.crossed(topic, occupied, version)
  }

  lost(concerns: (topic: Topic) => boolean): void {
    this.#forget(concerns)
    this.#views.lost(concerns, this.#options.clock.now())
  }

  /** Takes this node's users out. */
  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel()
    await this.#options.store.close()
  }

  #tick(): void {
    const now = this.#options.clock.now()
    this.#online.sweep(now)
    if (now >= this.#pauseUntil) {
      void this.#set()
      this.#views.refresh(now).catch(() => this.#pause())
    }
    for (const [topic, difference] of this.#views.differences()) this.#options.tell(topic, frameOf(topic, difference))
  }

  async #set(): Promise<void> {
    if (this.#setting) return
    this.#setting = true
    await Promise.all([this.#inThreads, this.#online].map(own => this.#setOwn(own)))
    this.#setting = false
  }

  async #setOwn(own: Own | Online): Promise<void> {
    for (;;) {
      const entries = own.takeUntold(PART)
      if (entries.length === 0) return
      try {
        await this.#options.store.set(entries)
      } catch {
        // The bus says in the log that Redis is away.
        own.giveBack(entries)
        this.#pause()
        return
      }
    }
  }

  #forget(concerns: (topic: Topic) => boolean): void {
    this.#inThreads.forget(concerns)
    this.#online.forget(concerns)
  }

  #pause(): void {
    this.#pauseUntil = this.#options.clock.now() + PAUSE
  }
}

function frameOf(topic: Topic, { joined, left, count }: Difference): Buffer {
  const thread = threadOfPresence(topic)
  return thread === undefined
    ? onlineFrame(userOfOnline(topic)!, count > 0)
    : presenceFrame(thread, joined, left, count)
}
