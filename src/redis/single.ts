import { Redis } from 'ioredis'
import type { RedisAddress } from './address.ts'
import { chunks } from '../lib/arrays.ts'
import { backoff } from '../lib/backoff.ts'
import { keepTrying } from './keep-trying.ts'
import { COMMAND_TIMEOUT, type LinkEvents, type RedisLink, type Script } from './link.ts'

const reconnectDelay = (attempt: number): number => backoff(attempt, 50, 1000)

const OPTIONS = {
  // What cannot be sent now is refused now: a queue of publishes would be a message store, and a publisher would wait.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: COMMAND_TIMEOUT,
  connectTimeout: COMMAND_TIMEOUT,
  // The bus subscribes again itself, since it must know when that is done.
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  retryStrategy: reconnectDelay,
}

// Bounds what one command holds Redis up; a node's resubscription is still tens of commands.
const NAMES_PER_COMMAND = 1000

/** One server, or the master that Sentinel names: a connection for commands and one that listens. */
export class SingleLink implements RedisLink {
  readonly publishCommand = 'PUBLISH'
  readonly #commands: Redis
  readonly #subscriber: Redis
  readonly #letGo: readonly (() => void)[]
  #events: LinkEvents | undefined
  #corked = false

  constructor(address: Exclude<RedisAddress, { kind: 'cluster' }>) {
    this.#commands = connect(address)
    this.#subscriber = connect(address)
    this.#letGo = [this.#commands, this.#subscriber].map(keepTrying)
    const ready = (): void => {
      if (this.ready) this.#events?.connected()
    }
    this.#commands.on('ready', ready)
    this.#subscriber.on('ready', ready)
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) =>
      this.#events?.message(channel.toString('latin1'), message),
    )
    this.#commands.on('close', () => this.#events?.interrupted('the command connection closed'))
    this.#subscriber.on('close', () => this.#events?.interrupted('the subscriber connection closed'))
    // 'close' follows each error and says all we need; without a listener ioredis would write to the console.
    this.#commands.on('error', () => {})
    this.#subscriber.on('error', () => {})
  }

  listen(events: LinkEvents): void {
    this.#events = events
  }

  get ready(): boolean {
    return this.#commands.status === 'ready' && this.#subscriber.status === 'ready'
  }

  async run(script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> {
    this.#cork()
    try {
      return await this.#commands.evalsha(script.sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!isNoScript(error)) throw error
      return this.#commands.eval(script.lua, keys.length, ...keys, ...args)
    }
  }

  async publish(channel: string, message: string | Buffer): Promise<void> {
    this.#cork()
    await this.#commands.publish(channel, message)
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    const commands = chunks(channels, NAMES_PER_COMMAND).map(part => this.#subscriber.subscribe(...part))
    await Promise.all(commands)
  }

  unsubscribe(channels: readonly string[]): void {
    // Without a connection there is nothing to let go of: the next one begins without subscriptions.
    for (const part of chunks(channels, NAMES_PER_COMMAND)) this.#subscriber.unsubscribe(...part).catch(() => {})
  }

  primaryOf(): string {
    return ''
  }

  async runIds(): Promise<ReadonlyMap<string, string>> {
    return new Map([['', runIdIn(await this.#commands.info('server'))]])
  }

  reconnect(): void {
    this.#commands.disconnect(true)
    this.#subscriber.disconnect(true)
  }

  close(): void {
    for (const letGo of this.#letGo) letGo()
    this.#commands.disconnect()
    this.#subscriber.disconnect()
  }

  /** Commands of one tick leave in one write: a system call each would cost more than the commands. */
  #cork(): void {
    if (this.#corked || !this.ready) return
    const { stream } = this.#commands
    this.#corked = true
    stream.cork()
    setImmediate(() => {
      this.#corked = false
      stream.uncork()
    })
  }
}

function connect(address: Exclude<RedisAddress, { kind: 'cluster' }>): Redis {
  if (address.kind === 'single') return new Redis(address.url, OPTIONS)
  return new Redis({
    ...OPTIONS,
    ...address.login,
    sentinels: [...address.sentinels],
    name: address.name,
    sentinelRetryStrategy: reconnectDelay,
  })
}

export function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

export function runIdIn(info: string): string {
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? ''
}
