import { type LookupAddress, promises as dns } from 'node:dns'
import { readFile } from 'node:fs/promises'
import { steadyClock } from '../lib/clock.ts'
import type { Resolve } from './address-guard.ts'

/** Milliseconds after which the system's configuration is read again. */
const AGE = 60_000
/** Milliseconds that a name server is given, twice as long when it is asked again. */
const PATIENCE = 3000
/** DNS knows no such name, or there is no DNS here: the system may have other ways. */
const UNKNOWN = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'])

interface System {
  readonly resolver: dns.Resolver
  /** Names that stand in /etc/hosts. */
  readonly own: ReadonlySet<string>
}

interface NamesOptions {
  /** Name servers instead of the system's, as `address:port`. */
  readonly servers?: readonly string[]
  readonly patienceMs?: number
}

/**
 * Resolves names without a thread each. The system's own way (getaddrinfo) takes one of four threads that all of Node shares,
 * also for checking tokens: four sites whose name servers do not answer would hold up the node. So it is asked only for what it
 * has at hand, and for what DNS does not know.
 */
export class Names {
  readonly #options: NamesOptions
  #system: Promise<System> | undefined
  #readAt = 0

  constructor(options: NamesOptions = {}) {
    this.#options = options
  }

  /** As `Resolve` has it. */
  readonly resolve: Resolve = async host => {
    const { resolver, own } = await this.#read()
    if (!host.includes('.') || own.has(host)) return lookup(host)
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    const found: LookupAddress[] = [
      ...addresses(four).map(address => ({ address, family: 4 })),
      ...addresses(six).map(address => ({ address, family: 6 })),
    ]
    if (found.length > 0) return found
    const errors = [four, six].map(answer => (answer as PromiseRejectedResult).reason as NodeJS.ErrnoException)
    const worst = errors.find(({ code = '' }) => !UNKNOWN.has(code))
    if (worst !== undefined) throw worst
    return lookup(host)
  }

  #read(): Promise<System> {
    const now = steadyClock.now()
    if (this.#system === undefined || now - this.#readAt > AGE) {
      this.#readAt = now
      this.#system = readSystem(this.#options)
    }
    return this.#system
  }
}

const lookup = (host: string): Promise<LookupAddress[]> => dns.lookup(host, { all: true, verbatim: true })

function addresses(answer: PromiseSettledResult<string[]>): string[] {
  return answer.status === 'fulfilled' ? answer.value : []
}

async function readSystem({ servers, patienceMs = PATIENCE }: NamesOptions): Promise<System> {
  const resolver = new dns.Resolver({ timeout: patienceMs, tries: 2 })
  if (servers !== undefined) resolver.setServers(servers)
  const text = await readFile('/etc/hosts', 'utf8').catch(() => '')
  const words = text
    .toLowerCase()
    .split('\n')
    .flatMap(line => line.replace(/#.*/, '').trim().split(/\s+/).slice(1))
  return { resolver, own: new Set(words) }
}
