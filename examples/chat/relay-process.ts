import { type ChildProcess, spawn } from 'node:child_process'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageRoot } from './page-files.ts'

export interface RelayOptions {
  readonly siteFile: string
  /** Ports to take if they are free; 0 stands for any. */
  readonly ports: RelayPorts
  readonly onLog: (line: string) => void
  /** Called when the relay ended without being told to, and when it is there again. */
  readonly onEnd: (how: string) => void
  readonly onBack: () => void
}

export interface RelayPorts {
  readonly ws: number
  readonly api: number
  readonly admin: number
}

const RESTART_MS = 3000
// Long enough to see in the page that it is gone, and to write something meanwhile.
const CUT_MS = 6000
const START_MS = 15_000
const END_MS = 3000
const PORTS = 3

/** The relay as a process of its own, as it would run anywhere. Started again on the same ports whenever it ends. */
export class RelayProcess {
  readonly ports: RelayPorts
  readonly #options: RelayOptions
  #child: ChildProcess | undefined
  #restart: NodeJS.Timeout | undefined
  #awayMs = RESTART_MS
  #closed = false

  private constructor(options: RelayOptions, ports: RelayPorts) {
    this.#options = options
    this.ports = ports
  }

  static async open(options: RelayOptions): Promise<RelayProcess> {
    const { ws, api, admin } = options.ports
    const relay = new RelayProcess(options, { ws: await free(ws), api: await free(api), admin: await free(admin) })
    // A relay must not outlive the demo, however that ends.
    process.on('exit', () => relay.#child?.kill('SIGKILL'))
    await relay.#start()
    return relay
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Ends the relay as a crash would, and keeps it away for some seconds. */
  cut(): void {
    this.#awayMs = CUT_MS
    this.#child?.kill('SIGKILL')
  }

  /** Ends the relay: politely, and after a while by force. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#restart)
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(force)
  }

  /** Resolves when all three ports are open. */
  async #start(): Promise<void> {
    const child = spawn(process.execPath, [join(packageRoot, 'dist/src/cli.js'), 'serve'], {
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const complaints: string[] = []
    createInterface({ input: child.stderr }).on('line', line => {
      complaints.push(line)
      this.#options.onLog(line)
    })

    const tooLate = setTimeout(() => child.kill('SIGKILL'), START_MS)
    let open = 0
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', line => {
        this.#options.onLog(line)
        if (line.includes('"msg":"listening"') && ++open === PORTS) resolve()
      })
      child.once('exit', (code, signal) => reject(new Error([...complaints, `exit ${signal ?? code}`].join('\n'))))
      child.once('error', reject)
    }).finally(() => clearTimeout(tooLate))
    child.once('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`))
  }

  #ended(how: string): void {
    if (this.#closed) return
    this.#options.onEnd(how)
    this.#startLater(this.#awayMs)
    this.#awayMs = RESTART_MS
  }

  #startLater(ms: number): void {
    clearTimeout(this.#restart)
    this.#restart = setTimeout(() => {
      this.#start().then(this.#options.onBack, () => {
        if (!this.#closed) this.#startLater(RESTART_MS)
      })
    }, ms)
  }

  /** Returns the environment without other settings for a relay that may be in it, but for the servers for calls. */
  #environment(): NodeJS.ProcessEnv {
    const others = Object.entries(process.env).filter(
      ([name]) => !name.startsWith('THROUGHLINE_') || name === 'THROUGHLINE_ICE',
    )
    return {
      ...Object.fromEntries(others),
      THROUGHLINE_WS_LISTEN: `127.0.0.1:${this.ports.ws}`,
      THROUGHLINE_API_LISTEN: `127.0.0.1:${this.ports.api}`,
      THROUGHLINE_ADMIN_LISTEN: `127.0.0.1:${this.ports.admin}`,
      THROUGHLINE_BUS: 'memory',
      THROUGHLINE_SITES: this.#options.siteFile,
      THROUGHLINE_DRAIN_SECONDS: '1',
      // The origin is on this machine, where callbacks do not go otherwise.
      THROUGHLINE_CALLBACK_ALLOW: '127.0.0.1/32',
    }
  }
}

/**
 * Returns `port` if nobody listens there, else one that is free. The relay could take any free one by itself, but then
 * the system would keep that port back for a minute after a crash, and the demo starts it again on the same.
 */
async function free(port: number): Promise<number> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(free(0)))
    server.listen(port, '127.0.0.1', () => {
      const { port: found } = server.address() as AddressInfo
      server.close(() => resolve(found))
    })
  })
}
