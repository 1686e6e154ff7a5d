import { steadyClock } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import type { SiteId } from '../protocol/ids.ts'
import { siteTopic } from '../protocol/topic.ts'
import { type Keys, PARTITIONS } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'
import { bodyOf, factText, newBatchId, OVERHEAD } from './body.ts'
import {
  type Batch,
  type CallbackQueue,
  CLOSE,
  type Fact,
  LEASE,
  LONGEST,
  MOST,
  type Next,
  type Outcome,
  type QueueStatus,
  STATES,
  VERSIONS,
} from './queue.ts'

const ADD = loadScript('callbacks/add')
const TAKE = loadScript('callbacks/take')
const DONE = loadScript('callbacks/done')
const RENEW = loadScript('callbacks/renew')
const DUE = loadScript('callbacks/due')
const STEER = loadScript('callbacks/steer')

/** Milliseconds after which pauses are kept for another month. */
const KEEP_PAUSES = 3_600_000
/** Sites of a partition that are looked at at once. */
const SITES = 1000

/**
 * The queue of a cluster: for each site a stream, and a lease that whoever delivers has for one batch. Consumer groups would
 * claim single facts, but order and one request at a time need a single consumer in the whole cluster: that is what the
 * lease is. All keys of a site stand in one partition, so each step is atomic.
 */
export class RedisQueue implements CallbackQueue {
  readonly #link: RedisLink
  readonly #keys: Keys
  #keepAt = 0

  constructor(link: RedisLink, keys: Keys) {
    this.#link = link
    this.#keys = keys
  }

  async add(site: SiteId, config: string, facts: readonly Fact[]): Promise<Next> {
    const args: (string | number)[] = [site, config, CLOSE.ms, MOST.happenings, MOST.all, VERSIONS, LONGEST]
    for (const fact of facts) args.push(fact.state?.name ?? '', fact.state?.version ?? 0, factText(fact))
    return readNext((await this.#link.run(ADD, this.#of(site), args)) as [number, number])
  }

  async take(site: SiteId): Promise<Batch | Next> {
    const token = randomId(9)
    const args = [site, token, LEASE, CLOSE.ms, CLOSE.facts, CLOSE.bytes - OVERHEAD, newBatchId(), LONGEST]
    const answer = (await this.#link.run(TAKE, this.#of(site), args)) as Taken
    const [, , id, last, failures, texts] = answer
    if (id === undefined) return readNext(answer)
    return { id, last: last!, token, attempt: failures! + 1, body: bodyOf(site, texts!) }
  }

  async renew(taken: ReadonlyMap<SiteId, Batch>): Promise<void> {
    const sites = [...taken].map(([site, { token }]) => {
      const [, , , work, due] = this.#of(site)
      return this.#link.run(RENEW, [work!, due!], [site, token, LEASE])
    })
    await Promise.all(sites)
  }

  async done(site: SiteId, config: string, { token, last }: Batch, outcome: Outcome): Promise<Next> {
    const delay = outcome.kind === 'retry' ? Math.round(outcome.delayMs) : 0
    const error = outcome.kind === 'ok' ? '' : outcome.error
    const args = [site, token, outcome.kind, last, delay, error, config, CLOSE.ms]
    return readNext((await this.#link.run(DONE, this.#of(site), args)) as [number, number])
  }

  async due(): Promise<SiteId[]> {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => this.#keys.callbackSites(partition))
    const keeps = steadyClock.now() >= this.#keepAt
    const args = [SITES, keeps ? 1 : 0]
    const found = await Promise.all(partitions.map(keys => this.#link.run(DUE, keys, args) as Promise<SiteId[]>))
    if (keeps) this.#keepAt = steadyClock.now() + KEEP_PAUSES
    return found.flat()
  }

  async status(site: SiteId): Promise<QueueStatus> {
    const [now, depth, first, paused, fields] = await this.#steer(site, '')
    const work = new Map<string, string>()
    for (let i = 0; i < fields.length; i += 2) work.set(fields[i]!, fields[i + 1]!)
    const next = Number(work.get('next') ?? 0)
    const error = work.get('error')
    const isTaken = Number(work.get('until') ?? 0) > now
    const holds = [paused === 1, work.has('gone'), isTaken, depth > 0, true]
    return {
      state: STATES[holds.indexOf(true)]!,
      depth,
      oldest: first === '' ? undefined : Number.parseInt(first, 10),
      next: next > now ? next : undefined,
      error: error === undefined ? undefined : { at: Number(work.get('failed')), message: error },
    }
  }

  async retry(site: SiteId): Promise<void> {
    await this.#steer(site, 'retry')
  }

  async pause(site: SiteId): Promise<void> {
    await this.#steer(site, 'pause')
  }

  async resume(site: SiteId): Promise<void> {
    await this.#steer(site, 'resume')
  }

  async drop(site: SiteId): Promise<number> {
    const [, depth] = await this.#steer(site, 'drop')
    return depth
  }

  async #steer(site: SiteId, deed: string): Promise<Status> {
    return (await this.#link.run(STEER, this.#of(site), [site, deed])) as Status
  }

  #of(site: SiteId): readonly string[] {
    return this.#keys.callbacks(siteTopic(site))
  }
}

type Taken = [number, number, string?, string?, number?, string[]?]
type Status = [now: number, depth: number, first: string, paused: number, work: string[]]

function readNext([wait, dropped]: readonly [number, number, ...unknown[]]): Next {
  return { waitMs: wait === -1 ? undefined : wait, dropped }
}
