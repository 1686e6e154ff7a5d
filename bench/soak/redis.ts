/** The Redis of a soak: what is done to it, and what is left in it. */
import { Redis } from 'ioredis'
import { type Child, startRedis } from '../lib/processes.ts'

export interface Leftovers {
  /** Channels on which nodes hear themselves, */
  readonly ticks: number
  /** and all others. */
  readonly channels: readonly string[]
  /** Keys that never end. */
  readonly endless: readonly string[]
  /** Users who are somewhere, and what nodes have set. */
  readonly presence: readonly string[]
}

export class SoakRedis {
  readonly address: string
  readonly #port: number
  #child: Child

  private constructor({ child, port, address }: Awaited<ReturnType<typeof startRedis>>) {
    this.#child = child
    this.#port = port
    this.address = address
  }

  static async start(): Promise<SoakRedis> {
    return new SoakRedis(await startRedis())
  }

  async killConnections(type: 'pubsub' | 'normal'): Promise<void> {
    await this.#ask(redis => redis.call('CLIENT', 'KILL', 'TYPE', type))
  }

  /** It comes back empty. */
  async restart(): Promise<void> {
    await this.#child.end()
    ;({ child: this.#child } = await startRedis(this.#port))
  }

  async leftovers(): Promise<Leftovers> {
    return this.#ask(async redis => {
      const all = (await redis.call('PUBSUB', 'CHANNELS')) as string[]
      const channels = all.filter(name => !name.includes('}:t:'))
      const endless: string[] = []
      const presence: string[] = []
      for (const key of await redis.keys('*')) {
        if ((await redis.ttl(key)) === -1) endless.push(key)
        // src/presence/set.lua: era, version and number stay for a while.
        if (!/^[^}]*\}:[pn]:/.test(key)) continue
        const fields = (await redis.hkeys(key)).filter(field => !['e', 'v', 'n'].includes(field))
        presence.push(...fields.map(field => `${key} ${field}`))
      }
      return { ticks: all.length - channels.length, channels, endless, presence }
    })
  }

  async end(): Promise<void> {
    await this.#child.end()
  }

  async #ask<T>(ask: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.address)
    try {
      return await ask(redis)
    } finally {
      redis.disconnect()
    }
  }
}
