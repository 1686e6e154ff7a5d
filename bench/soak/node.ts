import { existsSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Child } from '../lib/processes.ts'
import { until } from '../lib/turns.ts'
import { type StartedNode, startNode } from '../peers/throughline.ts'
import type { Alive } from './probe.ts'

const PROBE = fileURLToPath(new URL('probe.js', import.meta.url))
let started = 0

/** A node with the probe in it. */
export class SoakNode {
  readonly socketPort: number
  readonly apiPort: number
  readonly #adminPort: number
  readonly #child: Child

  readonly #probeFile: string

  private constructor({ node, socketPort, apiPort, adminPort }: StartedNode, probeFile: string) {
    this.socketPort = socketPort
    this.apiPort = apiPort
    this.#adminPort = adminPort
    this.#child = node
    this.#probeFile = probeFile
  }

  static async start(sites: string, bus: string): Promise<SoakNode> {
    const probeFile = `${sites}.${++started}`
    return new SoakNode(await startNode(sites, bus, ['--import', PROBE], { SOAK_PROBE: probeFile }), probeFile)
  }

  residentBytes(): number {
    return this.#child.residentBytes()
  }

  /** How many file descriptors it has, by what they are: `{ socket: 3 }`. */
  descriptors(): Record<string, number> {
    const found: Record<string, number> = {}
    for (const kind of this.#child.descriptors().toSorted()) found[kind] = (found[kind] ?? 0) + 1
    return found
  }

  async alive(): Promise<Alive> {
    process.kill(this.#child.pid, 'SIGUSR2')
    await until('the probe has answered', () => existsSync(this.#probeFile))
    const alive = JSON.parse(readFileSync(this.#probeFile, 'utf8')) as Alive
    rmSync(this.#probeFile)
    return alive
  }

  /** Its own counts by name, with their labels, without `throughline_`. */
  async metrics(): Promise<Map<string, number>> {
    const lines = (await this.#scrape()).matchAll(/^throughline_(\S+) (\S+)$/gm)
    return new Map(Array.from(lines, ([, name = '', value]) => [name, Number(value)]))
  }

  end(): Promise<void> {
    return this.#child.end()
  }

  /** On a connection of its own, which does not stay. */
  #scrape(): Promise<string> {
    return new Promise((resolve, reject) => {
      get({ port: this.#adminPort, host: '127.0.0.1', path: '/metrics', agent: false }, response => {
        let text = ''
        response
          .setEncoding('utf8')
          .on('data', (part: string) => {
            text += part
          })
          .on('end', () => resolve(text))
      }).on('error', reject)
    })
  }
}
