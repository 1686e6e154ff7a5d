import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { BrowserContext, Page } from 'playwright-core'
import { openTabs } from './chromium.ts'
import { MessengerOrigin } from './messenger-origin.ts'
import { freePort } from './ports.ts'
import { metric, type Relay, Site, startRelay, type Teardown } from './relay.ts'
import { until } from './until.ts'

const SCRIPT = fileURLToPath(new URL('../../../client/dist/script/throughline.js', import.meta.url))

/** What a tab tells of itself; `events` are in the order in which it was given them. */
export interface Seen {
  readonly state: string
  readonly connection: string | undefined
  readonly states: string[]
  readonly errors: string[]
  readonly closed: string[]
  readonly events: { id: string; type: string; chain?: string; data: unknown; sender?: unknown; from: string }[]
}

export interface TabOptions {
  readonly share?: 'worker' | 'leader' | 'none'
  readonly user?: string
  /** The relay's, if left out. */
  readonly url?: string
  readonly pollSeconds?: number
  readonly workerUrl?: string
  /** Without `fetchSince`. */
  readonly isMute?: boolean
  /** On an origin without Web Locks. */
  readonly isInsecure?: boolean
}

const PAGE = `<!doctype html><title>messenger</title><script src="/throughline.js"></script><script>
function start({ url, user = '7', isMute, ...options }) {
  const query = new URLSearchParams({ user, thread: '1' })
  const ask = path => async chains => {
    const response = await fetch(path + '?' + query, { method: 'POST', body: JSON.stringify(chains) })
    if (!response.ok) throw new Error('the origin answered ' + response.status)
    return response.json()
  }
  const seen = { states: [], errors: [], closed: [], events: [] }
  // Who is signed in now: perhaps another than when the page was loaded.
  const token = async () => (await fetch('/token?' + new URLSearchParams({ user: window.signedIn ?? user, thread: '1' }))).text()
  window.relay = Throughline.connect({ url, token, fetchSince: isMute ? undefined : ask('/since'), poll: ask('/poll'), pollSeconds: 0.3, ...options })
  relay.on('event', event => seen.events.push(event))
  relay.on('state', ({ state }) => seen.states.push(state))
  relay.on('error', ({ code, message }) => seen.errors.push(code + ': ' + message))
  relay.on('closed', ({ code }) => seen.closed.push(code))
  window.thread = relay.subscribe('1')
  window.tell = () => ({ ...seen, state: relay.state, connection: relay.connection })
}
</script>`

/** A messenger with its relay and the tabs of one browser. */
export interface Scene {
  readonly origin: MessengerOrigin
  readonly context: BrowserContext
  readonly relay: () => Relay
  /** Starts another relay on the same port. */
  restart(): Promise<void>
  open(options: TabOptions): Promise<Tab>
  /** How many connections the relay has. */
  connections(): Promise<number>
  /** The addresses of the shared workers that run. */
  workers(): Promise<string[]>
}

/** One tab of the messenger, which follows thread 1. */
export class Tab {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  seen(): Promise<Seen> {
    return this.page.evaluate('tell()')
  }

  /** Waits until its state is `live`, over another connection than `before`. */
  async live(before?: string): Promise<Seen> {
    let seen = await this.seen()
    const isLive = async (): Promise<boolean> => {
      seen = await this.seen()
      return seen.state === 'live' && seen.connection !== undefined && seen.connection !== before
    }
    await until(isLive, { ms: 40_000, what: () => `a tab that is live: ${JSON.stringify(seen)}` })
    return seen
  }

  /** Waits until it is live, or no longer. */
  async turns(is: 'live' | 'lost'): Promise<void> {
    await this.page.evaluate(`new Promise(done => {
      const look = () => (relay.state === 'live') === ${is === 'live'} && (off(), done())
      const off = relay.on('state', look)
      look()
    })`)
  }

  /** Returns the ids of the events of thread 1, once there are so many. */
  async ids(count: number): Promise<string[]> {
    let ids: string[] = []
    await until(
      async () => {
        ids = (await this.seen()).events.filter(({ chain }) => chain === 'thread:1').map(({ id }) => id)
        return ids.length >= count
      },
      { what: () => `${count} events: ${ids.join(' ')}` },
    )
    return ids
  }
}

export async function openScene(
  t: Teardown,
  files: (script: string) => Record<string, string> = () => ({}),
): Promise<Scene> {
  const site = new Site('acme')
  const script = await readFile(SCRIPT, 'utf8')
  let relay: Relay | undefined
  const scripts = Object.entries({ '/throughline.js': script, ...files(script) }).map(([path, body]) => [
    path,
    { type: 'text/javascript', body },
  ])
  const html = { type: 'text/html', body: PAGE }
  const origin = await MessengerOrigin.open(t, {
    site,
    relay: () => relay,
    files: {
      ...Object.fromEntries(scripts),
      '/': html,
      '/elsewhere': { type: 'text/html', body: '<title>elsewhere</title>' },
    },
  })
  const insecure = origin.url.replace('127.0.0.1', 'insecure.test')
  const environment = { THROUGHLINE_WS_LISTEN: `127.0.0.1:${await freePort()}` }
  const restart = async (): Promise<void> => {
    relay = await startRelay(t, site.entry({ origins: [origin.url, insecure] }), environment)
  }
  await restart()
  const context = await openTabs(t)
  const browser = await context.browser()!.newBrowserCDPSession()
  return {
    origin,
    context,
    relay: () => relay!,
    restart,
    async open({ isInsecure = false, ...options }) {
      const page = await context.newPage()
      await page.goto(isInsecure ? insecure : origin.url)
      await page.evaluate(`start(${JSON.stringify({ url: relay!.ws, ...options })})`)
      return new Tab(page)
    },
    connections: () => metric(relay!, 'connections'),
    async workers() {
      const { targetInfos } = await browser.send('Target.getTargets', { filter: [{ type: 'shared_worker' }] })
      return targetInfos.map(({ url }) => url)
    },
  }
}
