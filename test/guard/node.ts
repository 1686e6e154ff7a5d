import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { end, type Running } from '../../bench/lib/contestant.ts'
import { dataAt } from '../../bench/lib/event.ts'
import { Publisher } from '../../bench/lib/publisher.ts'
import { open } from '../../bench/load/crowd.ts'
import { dialect, startNode, writeSites } from '../../bench/peers/throughline.ts'
import type { Receiver } from '../../bench/lib/receiver.ts'
import { until } from '../support/until.ts'
import type { Teardown } from '../support/relay.ts'
import type { Reading } from './probe.ts'

const PROBE = fileURLToPath(new URL('probe.js', import.meta.url))
/** MiB. With a young heap that is never full nothing is collected while allocations are counted. */
const YOUNG_HEAP = 128
export const NEVER_FULL = [`--min-semi-space-size=${YOUNG_HEAP}`, `--max-semi-space-size=${YOUNG_HEAP}`]
export const DATA = dataAt(0)
/** A thread that nobody is in. */
export const NOBODY = 't00'

/** A node with the probe in it, and its clients and publishers. */
export class GuardedNode {
  readonly server: Running
  readonly #probeFile: string

  private constructor(server: Running, probeFile: string) {
    this.server = server
    this.#probeFile = probeFile
  }

  static async start(t: Teardown, bus = 'memory', flags: readonly string[] = []): Promise<GuardedNode> {
    const secret = randomBytes(32)
    const sites = writeSites(secret)
    const probeFile = `${sites}.probe`
    const all = ['--import', PROBE, '--expose-gc', '--allow-natives-syntax', ...flags]
    const { node, socketPort, apiPort } = await startNode(sites, bus, all, { GUARD_PROBE: probeFile })
    const server = { nodes: [node], socketPort, apiPort, ...dialect(secret) }
    t.teardown(() => end(server))
    return new GuardedNode(server, probeFile)
  }

  /** Connects the users `from` up to `to`, all in these threads. */
  async join(from: number, to: number, threads: readonly string[]): Promise<Receiver[]> {
    const { length: payload } = this.server.frame(threads[0] ?? NOBODY, DATA)
    return await open(this.server, { payload }, [from, to], () => [...threads])
  }

  /** Opens connections to publish on; the returned function publishes so many events, one after the other on each. */
  async publisher(t: Teardown, connections = 4): Promise<(request: Buffer, count: number) => Promise<void>> {
    const publisher = await Publisher.open(this.server, connections, this.server.publishing(NOBODY, DATA))
    t.teardown(() => publisher.close())
    return async (request, count) => {
      let left = count
      publisher.saturate(Math.min(connections, count), () => {
        if (--left === 0) publisher.pause()
        return request
      })
      await publisher.idle()
    }
  }

  async read(): Promise<Reading> {
    process.kill(this.server.nodes[0]!.pid, 'SIGUSR2')
    await until(() => existsSync(this.#probeFile), { what: 'the probe to answer' })
    const reading = JSON.parse(readFileSync(this.#probeFile, 'utf8')) as Reading
    rmSync(this.#probeFile)
    return reading
  }
}
