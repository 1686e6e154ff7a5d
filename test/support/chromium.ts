import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium } from 'playwright-core'
import { freePort } from './ports.ts'
import type { Teardown } from './relay.ts'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

const ARGUMENTS = [
  '--no-sandbox', // containers that run as root have none to offer
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts the Chromium of this machine: the one that CHROMIUM names, or the first that is installed; with `more` arguments. */
export function openChromium(...more: string[]): Promise<Browser> {
  return launch(more)
}

/**
 * Starts a Chromium whose tabs are as a user's: hidden when another is in front, frozen when hidden and told so, and
 * kept in the back-forward cache. Playwright's own pages are none of this, for it makes all of them believe they are in
 * front. Returns its only context, without a page; it ends with the test. `http://insecure.test` is this machine too,
 * as an origin that is no secure context.
 */
export async function openTabs(t: Teardown): Promise<BrowserContext> {
  const port = await freePort()
  const browser = await launch(
    [`--remote-debugging-port=${port}`, '--host-resolver-rules=MAP insecure.test 127.0.0.1'],
    ['--disable-back-forward-cache'],
  )
  t.teardown(() => browser.close())
  // Only a second connection can be without defaults. It ends with the first.
  const user = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true })
  return user.contexts()[0]!
}

function launch(more: readonly string[], without: string[] = []): Promise<Browser> {
  const named = process.env['CHROMIUM']
  const executablePath = named ?? PLACES.find(existsSync)
  if (executablePath === undefined || !existsSync(executablePath)) {
    const where = named === undefined ? PLACES.join(', ') : `CHROMIUM=${named}`
    throw new Error(`No Chromium at ${where}. Install it (apt-get install chromium), or let CHROMIUM name it.`)
  }
  return chromium.launch({ executablePath, args: [...ARGUMENTS, ...more], ignoreDefaultArgs: without })
}
