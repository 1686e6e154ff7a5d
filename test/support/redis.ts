/**
 * Real redis-server processes, on free ports of 127.0.0.1, in a folder that goes away with them. Each belongs to a
 * test and ends with it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { HostPort, RedisAddress } from '../../src/redis/address.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

const HOST = '127.0.0.1'
const SERVER = process.env['REDIS_SERVER'] ?? 'redis-server'
const CLI = process.env['REDIS_CLI'] ?? 'redis-cli'
const MISSING = `${SERVER} or ${CLI} is not here: apt-get install redis-server, or name them in REDIS_SERVER and REDIS_CLI`

/** Values are put on the command line: `{ 'maxmemory-policy': 'noeviction' }`. */
type Settings = Record<string, string | number>

const SETTINGS: Settings = {
  bind: HOST,
  save: '',
  appendonly: 'no',
  // So that DUMP shows values as they are.
  rdbcompression: 'no',
  'repl-diskless-sync-delay': 0,
}

// Not every end of a test process runs teardowns.
const running = new Set<ChildProcess>()
const folders = new Set<string>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** One key of a server: its name, the seconds it has left (-1: no end) and its value in Redis' own serialisation. */
export interface Entry {
  key: string
  ttl: number
  value: Buffer
}

export class RedisServer {
  readonly port: number
  readonly #dir: string
  readonly #args: readonly string[]
  #child: ChildProcess

  private constructor(port: number, dir: string, args: readonly string[]) {
    this.port = port
    this.#dir = dir
    this.#args = args
    this.#child = this.#spawn()
  }

  /** Starts a server for as long as `t` runs. Its command line is `args`, with the port, the folder and the log added. */
  static async start(t: Test, args: (dir: string) => Promise<readonly string[]>, port: number): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'throughline-redis-'))
    folders.add(dir)
    const server = new RedisServer(port, dir, await args(dir))
    t.teardown(async () => {
      await server.kill()
      await rm(dir, { recursive: true, force: true })
      folders.delete(dir)
    })
    await server.#ready()
    return server
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`
  }

  get address(): HostPort {
    return { host: HOST, port: this.port }
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Returns what redis-cli prints, without the last line break; throws when Redis answers with an error. */
  async cli(...args: (string | number)[]): Promise<string> {
    return runCli(['-p', String(this.port), ...args.map(String)])
  }

  /** Returns every key of this server. */
  async entries(): Promise<Entry[]> {
    const lines = await this.cli('EVAL', DUMP_ALL, 0)
    return lines
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        // The key comes last, since it may have spaces in it.
        const [ttl, hex = '', ...key] = line.split(' ')
        return { key: key.join(' '), ttl: Number(ttl), value: Buffer.from(hex, 'hex') }
      })
  }

  /** Ends it as an operator would. */
  async stop(): Promise<void> {
    this.resume()
    await this.#end('SIGTERM')
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Leaves it on its port, but deaf: connections stay open and nothing is answered. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** Starts it again on the same port and in the same folder; kills it first if it runs. Loads what SAVE has left. */
  async restart(): Promise<void> {
    await this.kill()
    this.#child = this.#spawn()
    await this.#ready()
  }

  #spawn(): ChildProcess {
    const args = [...this.#args, '--port', String(this.port), '--dir', this.#dir, '--logfile', join(this.#dir, 'log')]
    const child = spawn(SERVER, args, { stdio: 'ignore' })
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.once('error', () => running.delete(child))
    return child
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child.pid === undefined || hasEnded(child)) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async #ready(): Promise<void> {
    await until(
      async () => {
        if (this.#child.pid === undefined) throw new Error(MISSING)
        if (hasEnded(this.#child)) throw new Error(`redis-server did not start: ${await this.#log()}`)
        return (await this.cli('PING').catch(unlessMissing)) === 'PONG'
      },
      { what: `an answer to PING from redis-server on port ${this.port}` },
    )
  }

  async #log(): Promise<string> {
    return readFile(join(this.#dir, 'log'), 'utf8').catch(() => 'it wrote no log')
  }
}

const DUMP_ALL = `
local lines, cursor = {}, '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local value = redis.call('DUMP', key) or ''
    local hex = value:gsub('.', function (c) return string.format('%02x', c:byte()) end)
    lines[#lines + 1] = redis.call('TTL', key) .. ' ' .. hex .. ' ' .. key
  end
until cursor == '0'
return lines`

export async function startRedis(t: Test, settings: Settings = {}): Promise<RedisServer> {
  return RedisServer.start(t, async () => flags({ ...SETTINGS, ...settings }), await freePort())
}

export interface SentinelSetup {
  readonly address: RedisAddress
  /** The same for the relay's configuration. */
  readonly url: string
  readonly sentinel: RedisServer
  readonly servers: readonly [RedisServer, RedisServer]
  /** Returns the server that the sentinel calls master. */
  readonly master: () => Promise<RedisServer>
  /** Makes the replica the master, and resolves when the sentinel says so. */
  readonly failover: () => Promise<void>
}

/** Starts a master, one replica and one sentinel that decides alone. */
export async function startSentinel(t: Test): Promise<SentinelSetup> {
  const name = 'relay'
  const first = await startRedis(t)
  const second = await startRedis(t, { replicaof: `${HOST} ${first.port}` })
  const sentinel = await RedisServer.start(t, sentinelArgs(name, first.port), await freePort())
  const servers = [first, second] as const

  const ask = (...words: string[]): Promise<string> => sentinel.cli('SENTINEL', ...words, name)
  const master = async (): Promise<RedisServer> => {
    const [, port] = (await ask('GET-MASTER-ADDR-BY-NAME')).split('\n')
    return servers.find(server => server.port === Number(port)) ?? first
  }
  await until(async () => (await ask('REPLICAS')).includes('master-link-status\nok'), {
    what: 'a sentinel that knows the replica',
  })

  return {
    address: { kind: 'sentinel', sentinels: [sentinel.address], name, login: {} },
    url: `redis+sentinel://${HOST}:${sentinel.port}/${name}`,
    sentinel,
    servers,
    master,
    failover: async () => {
      const old = await master()
      // Refused until the sentinel's news of the replica are fresh enough.
      await until(async () => (await ask('FAILOVER').catch(String)) === 'OK', { what: 'a failover to begin' })
      await until(async () => (await master()) !== old, { ms: 30_000, what: 'the sentinel to name another master' })
    },
  }
}

function sentinelArgs(name: string, port: number) {
  return async (dir: string): Promise<string[]> => {
    const file = join(dir, 'sentinel.conf')
    const lines = [
      `bind ${HOST}`,
      `sentinel monitor ${name} ${HOST} ${port} 1`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 5000`,
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    return [file, '--sentinel']
  }
}

const MASTERS = 3

export interface ClusterSetup {
  readonly address: RedisAddress
  /** The same for the relay's configuration. */
  readonly url: string
  readonly masters: readonly RedisServer[]
}

/** Starts a cluster of three masters, each with so many replicas (none unless told); takes about 4 s. */
export async function startCluster(t: Test, replicas = 0): Promise<ClusterSetup> {
  const buses = new Map<RedisServer, number>()
  for (let i = 0; i < MASTERS * (1 + replicas); i++) {
    const bus = await freePort()
    const settings = {
      'cluster-enabled': 'yes',
      'cluster-port': bus,
      // With full coverage the loss of one master would stop the other two as well.
      'cluster-require-full-coverage': 'no',
      'cluster-node-timeout': replicas === 0 ? 15_000 : 1500,
    }
    buses.set(await startRedis(t, settings), bus)
  }
  const masters = [...buses.keys()].slice(0, MASTERS)
  const nodes = [...buses].map(([{ port }, bus]) => `${HOST}:${port}@${bus}`)
  await runCli(['--cluster', 'create', ...nodes, '--cluster-replicas', String(replicas), '--cluster-yes'])
  const isWhole = async (server: RedisServer): Promise<boolean> => {
    const info = await server.cli('CLUSTER', 'INFO')
    return info.includes('cluster_state:ok') && info.includes('cluster_slots_ok:16384')
  }
  await until(async () => (await Promise.all(masters.map(isWhole))).every(Boolean), { what: 'the cluster to be whole' })
  const url = `redis+cluster://${masters.map(({ port }) => `${HOST}:${port}`).join(',')}`
  return { address: { kind: 'cluster', nodes: masters.map(({ address }) => address), login: {} }, url, masters }
}

/** Moves the slot of a key, with all that is in it, from one master to another. */
export async function moveSlot(
  key: string,
  from: RedisServer,
  to: RedisServer,
  masters: readonly RedisServer[],
): Promise<void> {
  const slot = await from.cli('CLUSTER', 'KEYSLOT', key)
  const [fromId, toId] = await Promise.all([from.cli('CLUSTER', 'MYID'), to.cli('CLUSTER', 'MYID')])
  await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
  await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
  const keys = (await from.cli('CLUSTER', 'GETKEYSINSLOT', slot, 1000)).split('\n')
  await from.cli('MIGRATE', HOST, to.port, '', 0, 5000, 'KEYS', ...keys)
  for (const master of masters) await master.cli('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
}

// An empty value must reach redis-server as an empty word, one with a space in it as two.
function flags(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`].concat(String(value).split(' ')))
}

async function runCli(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(CLI, ['-h', HOST, '-e', ...args], { maxBuffer: 1 << 28 })
  return stdout.replace(/\n$/, '')
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code === 'ENOENT') throw new Error(MISSING)
}
