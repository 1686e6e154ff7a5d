/**
 * Processes that the bench starts: pinned to one core, watched for the ports that they log, and ended whatever happens.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { sleep } from './turns.ts'

/** Of /proc: what Linux calls USER_HZ, 100 wherever Node runs. */
export const SECOND_TICKS = 100
const SERVER_CORE = 0
const CLIENT_CORE = 1
const pinning = spawnSync('taskset', ['--version']).status === 0
const running = new Set<Child>()

// Nothing of ours outlives us: 'exit' also follows an uncaught error, and the signals are turned into one.
process.on('exit', () => {
  for (const child of running) child.kill()
})
// SIGALRM is how tap ends a test that takes too long.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGALRM'] as const) process.on(signal, () => process.exit(130))

/** Moves this process, with all its threads, to the client's core. Returns whether cores can be chosen here. */
export function pinSelf(): boolean {
  if (pinning)
    execFileSync('taskset', ['-a', '-c', '-p', String(CLIENT_CORE), String(process.pid)], { stdio: 'ignore' })
  return pinning
}

/** A line that a server logs for each port that it listens to. */
interface Listening {
  readonly msg?: unknown
  readonly port?: unknown
  readonly address?: unknown
}

export class Child {
  readonly pid: number
  readonly #process: ChildProcess
  #out = ''
  #ended = false

  private constructor(command: string, args: readonly string[], env: Record<string, string>) {
    const [file, all] = pinning ? ['taskset', ['-c', String(SERVER_CORE), command, ...args]] : [command, [...args]]
    const { PATH, UWS_BINARY } = process.env
    this.#process = spawn(file, all, { env: { PATH, UWS_BINARY, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    if (this.#process.pid === undefined) throw new Error(`${command} does not start`)
    this.pid = this.#process.pid
    running.add(this)
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#out = (this.#out + text).slice(-100_000)
      })
    this.#process.on('exit', () => {
      this.#ended = true
      running.delete(this)
    })
  }

  /** Starts a server and waits until `ready` finds in its output what it needs to know. */
  static async start<T>(
    command: string,
    args: readonly string[],
    env: Record<string, string>,
    ready: (output: string) => T | undefined,
  ): Promise<[Child, T]> {
    const child = new Child(command, args, env)
    for (const end = performance.now() + 30_000; ; ) {
      const known = ready(child.#out)
      if (known !== undefined) return [child, known]
      if (child.#ended || performance.now() > end) {
        child.kill()
        throw new Error(`${command} ${args.join(' ')} did not start:\n${child.#out.slice(-2000)}`)
      }
      await sleep(10)
    }
  }

  /** Asks it to end, and makes it end after two seconds. */
  async end(): Promise<void> {
    this.#process.kill('SIGTERM')
    for (const end = performance.now() + 2000; !this.#ended && performance.now() < end; ) await sleep(10)
    if (!this.#ended) this.kill()
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  /** Seconds of processor time so far, all threads, in user and kernel mode. */
  cpuSeconds(): number {
    const fields = this.#file('stat').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / SECOND_TICKS
  }

  /** The same more finely: Linux counts nanoseconds in each thread's schedstat. */
  cpuNanoseconds(): number {
    const tasks = readdirSync(`/proc/${this.pid}/task`)
    return tasks.reduce((sum, task) => sum + Number(this.#file(`task/${task}/schedstat`).split(' ')[0]), 0)
  }

  #file(name: string): string {
    if (this.#ended) throw new Error(`a server ended while it was measured; its last words:\n${this.#out.slice(-2000)}`)
    return readFileSync(`/proc/${this.pid}/${name}`, 'latin1')
  }

  residentBytes(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(this.#file('status'))?.[1]) * 1024
  }

  /** What its file descriptors are: a path, or socket, pipe, anon_inode. */
  descriptors(): string[] {
    const folder = `/proc/${this.pid}/fd`
    return readdirSync(folder).flatMap(fd => {
      try {
        return [readlinkSync(`${folder}/${fd}`).replace(/:.*/, '')]
      } catch {
        // Closed since it was listed.
        return []
      }
    })
  }
}

/** Finds the port numbers in `{"msg":"listening","port":"api","address":"127.0.0.1:1"}`, once all of `names` are there. */
export function listening(names: readonly string[]): (output: string) => number[] | undefined {
  return output => {
    const ports = new Map<unknown, number>()
    for (const line of output.split('\n')) {
      if (!line.includes('"listening"') || !line.endsWith('}')) continue
      const { port, address } = JSON.parse(line) as Listening
      ports.set(port, Number(String(address).split(':').at(-1)))
    }
    const found = names.map(name => ports.get(name)).filter(port => port !== undefined)
    return found.length === names.length ? found : undefined
  }
}

/** Starts a real Redis on the loopback, on a free port unless one is given, without persistence. */
export async function startRedis(at?: number): Promise<{ child: Child; port: number; address: string }> {
  const port = at ?? (await freePort())
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const [child] = await Child.start(
    'redis-server',
    args,
    {},
    output => /Ready to accept connections/.exec(output) ?? undefined,
  )
  return { child, port, address: `redis://127.0.0.1:${port}` }
}

/**
 * Below the ephemeral range of Linux: a port from that range can be taken by any outgoing connection while its server is
 * being restarted, even by that of the client which is trying to reach it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer().on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
