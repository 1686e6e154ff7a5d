import { Cluster, type Redis } from 'ioredis'
import type { RedisAddress } from './address.ts'
import { groupBy } from '../lib/arrays.ts'
import { backoff } from '../lib/backoff.ts'
import { keepTrying } from './keep-trying.ts'
import { COMMAND_TIMEOUT, type LinkEvents, type RedisLink, type Script } from './link.ts'
import { isNoScript, runIdIn } from './single.ts'

/** Redis Cluster with sharded pub/sub (Redis 7): a channel's messages stay with the masters that own its slot. */
export class ClusterLink implements RedisLink {
  readonly publishCommand = 'SPUBLISH'
  readonly #cluster: Cluster
  readonly #letGo: () => void
  #events: LinkEvents | undefined

  constructor(address: Extract<RedisAddress, { kind: 'cluster' }>) {
    this.#cluster = new Cluster([...address.nodes], {
      shardedSubscribers: true,
      enableOfflineQueue: false,
      // A cluster that moves its slots answers MOVED; waiting out a failover is the publisher's part (503, same id).
      maxRedirections: 4,
      slotsRefreshTimeout: COMMAND_TIMEOUT,
      slotsRefreshInterval: 5000,
      clusterRetryStrategy: attempt => backoff(attempt, 50, 1000),
      redisOptions: { ...address.login, commandTimeout: COMMAND_TIMEOUT, connectTimeout: COMMAND_TIMEOUT },
    })
    this.#letGo = keepTrying(this.#cluster)
    this.#cluster.on('smessageBuffer', (channel: Buffer, message: Buffer) =>
      this.#events?.message(channel.toString('latin1'), message),
    )
    // ioredis subscribes again by itself here, and this event is the only sign that messages may have been lost.
    this.#cluster.on('-subscriber', () => this.#events?.interrupted("a shard's subscriber connection closed"))
    this.#cluster.on('-node', () => this.#events?.interrupted('a node left or its connection closed'))
    this.#cluster.on('close', () => this.#events?.interrupted('the cluster connection closed'))
    this.#cluster.on('ready', () => this.#events?.connected())
    this.#cluster.on('error', () => {})
    this.#cluster.on('nodeError', () => {})
  }

  listen(events: LinkEvents): void {
    this.#events = events
  }

  get ready(): boolean {
    return this.#cluster.status === 'ready'
  }

  async run(script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> {
    try {
      return await this.#cluster.evalsha(script.sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!isNoScript(error)) throw error
      return this.#cluster.eval(script.lua, keys.length, ...keys, ...args)
    }
  }

  async publish(channel: string, message: string | Buffer): Promise<void> {
    await this.#cluster.spublish(channel, message)
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    await Promise.all(byTag(channels).map(part => this.#cluster.ssubscribe(...part)))
  }

  unsubscribe(channels: readonly string[]): void {
    for (const part of byTag(channels)) this.#cluster.sunsubscribe(...part).catch(() => {})
  }

  primaryOf(slot: number): string | undefined {
    return this.#cluster.slots[slot]?.[0]
  }

  async runIds(): Promise<ReadonlyMap<string, string>> {
    const found = await Promise.all(
      this.#cluster.nodes('master').map(async node => [nameOf(node), runIdIn(await node.info('server'))] as const),
    )
    return new Map(found)
  }

  reconnect(): void {
    this.#cluster.disconnect(true)
    this.#events?.interrupted('the cluster is connected anew')
  }

  close(): void {
    this.#letGo()
    this.#cluster.disconnect()
  }
}

/** Groups names by what stands in their braces: one command must stay in one slot. */
function byTag(names: readonly string[]): string[][] {
  return [...groupBy(names, name => name.slice(0, name.indexOf('}'))).values()]
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`
}
