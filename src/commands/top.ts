import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { parseListen } from '../config/listen.ts'
import { readEnvironment } from '../config/load.ts'
import { VARIABLES } from '../config/schema.ts'
import { after, sleep, systemClock } from '../lib/clock.ts'
import { parsed } from './arguments.ts'
import { type Command, Failure, print, printable } from './command.ts'
import { reachable } from './doctor/running-node.ts'
import { frame, type Shown } from './top/frame.ts'
import { rowOf } from './top/rates.ts'
import { type Down, scrape, type Scrape } from './top/scrape.ts'
import { type Sites, sitesOf } from './top/sites.ts'
import { Screen } from './top/screen.ts'

const EVERY_MS = 2000
const ONCE_MS = 1000
const PATIENCE_MS = 1500

const help = `throughline top [--admin URL,URL…] [--config FILE] [--once]

Shows a cluster as it works: for each node its sockets, what is published and delivered each second, how long deliveries
take, the lag of the event loop and the memory; then the busiest sites. Looks at the admin ports every 2 s; q or Ctrl-C
ends it.

  --admin    where the admin ports are, such as http://10.0.0.1:9090,http://10.0.0.2:9090; by default the configured address
  --config   a file with NAME=value lines, as for serve
  --once     prints one frame, over one second, and ends; with exit code 1 if a node is down

Example:
  throughline top --admin http://10.0.0.1:9090,http://10.0.0.2:9090`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { admin: { type: 'string' }, config: { type: 'string' }, once: { type: 'boolean' } },
  })
  const nodes = adminUrls(values.admin, values.config).map(url => new Watched(url))
  if (values.once === true) return once(nodes)
  const { stdin, stdout } = process
  if (!stdout.isTTY) throw new Failure('this is no terminal; --once prints one frame')
  const screen = new Screen(stdout, stdin)
  try {
    await watch(nodes, screen)
  } finally {
    screen.close()
  }
  return 0
}

export const top: Command = { help, run }

async function once(nodes: readonly Watched[]): Promise<number> {
  await lookAll(nodes)
  await sleep(ONCE_MS)
  await lookAll(nodes)
  print(lines(nodes).join('\n'))
  return nodes.every(({ isUp }) => isUp) ? 0 : 1
}

async function watch(nodes: readonly Watched[], screen: Screen): Promise<void> {
  const quit = screen.quit.then(() => false)
  do {
    await Promise.race([lookAll(nodes), quit])
    screen.show([...lines(nodes), '', 'q: quit'])
  } while (await Promise.race([pause(), quit]))
}

/** Unlike sleep it keeps nobody who has quit. */
function pause(): Promise<true> {
  return new Promise(resolve => after(EVERY_MS, () => resolve(true)))
}

async function lookAll(nodes: readonly Watched[]): Promise<void> {
  await Promise.all(nodes.map(node => node.look()))
}

function lines(nodes: readonly Watched[]): string[] {
  return frame(nodes, new Date(systemClock.now()).toISOString().replace(/\.\d+/, '')).map(printable)
}

/** A node with its last two scrapes. */
class Watched implements Shown {
  readonly name: string
  readonly #url: string
  #before: Scrape | Down | undefined
  #now: Scrape | Down | undefined

  constructor(url: string) {
    this.#url = url
    this.name = new URL(url).host
  }

  get isUp(): boolean {
    return this.#now !== undefined && 'samples' in this.#now
  }

  get row(): Shown['row'] {
    const [before, now] = [this.#before, this.#now]
    if (now === undefined || 'down' in now) return now ?? 'waiting'
    return before === undefined || 'down' in before ? 'waiting' : rowOf(before, now)
  }

  get sites(): Sites {
    const [before, now] = [this.#before, this.#now]
    if (before === undefined || now === undefined || 'down' in before || 'down' in now) return new Map()
    return sitesOf(before, now)
  }

  async look(): Promise<void> {
    const now = await scrape(this.#url, PATIENCE_MS)
    this.#before = this.#now
    this.#now = now
  }
}

function adminUrls(given: string | undefined, file: string | undefined): readonly string[] {
  if (given === undefined) return [`http://${configured(file)}`]
  return given
    .split(',')
    .map(url => parsed(url.trim(), '--admin', adminUrl, 'an http or https URL, or several with commas'))
}

function adminUrl(text: string): string | undefined {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return undefined
  return text.replace(/\/+$/, '')
}

/** Nothing else of the configuration is needed here, so nothing else may be wrong. */
function configured(file: string | undefined): string {
  const { name, default: standard, expected } = VARIABLES.adminListen
  const text = readEnvironment(file)[name] || standard
  const listen = parseListen(text)
  if (listen === undefined) throw new ConfigError(name, `expected ${expected}, found ${JSON.stringify(text)}`)
  return reachable(listen)
}
