import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, Locator, Page } from 'playwright-core'
import t from 'tap'
import { openChromium } from '../support/chromium.ts'

// The whole demo as a newcomer starts it, and two people in a real browser. SCREENSHOT=folder keeps pictures of it.

const WAIT_MS = 30_000
const VIEWPORT = { width: 1280, height: 800 }
t.setTimeout(4 * WAIT_MS)

/** The demo as a process of its own, on free ports. */
class Demo {
  readonly folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  readonly child: ChildProcess
  readonly #lines: string[] = []

  constructor() {
    const script = fileURLToPath(new URL('../../examples/chat/demo.js', import.meta.url))
    const env = { ...process.env, PORT: '0', TMPDIR: this.folder }
    this.child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', line => {
      this.#lines.push(line)
      this.child.emit('line')
    })
  }

  /** Resolves with what the pattern's group matches, as soon as the demo has printed such a line. */
  async printed(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.#lines.map(line => pattern.exec(line)?.[1]).find(match => match !== undefined)
        if (found === undefined) return
        this.child.off('line', look)
        resolve(found)
      }
      this.child.on('line', look)
      this.child.once('exit', () => reject(new Error(`the demo ended and never printed ${pattern}`)))
      look()
    })
  }

  async end(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGINT')
      await once(this.child, 'exit')
    }
    return this.child.exitCode
  }
}

/** One person in a browser of their own. */
class Person {
  readonly page: Page
  readonly errors: string[] = []
  /** The events that the relay has sent, as they came. */
  readonly events: Record<string, unknown>[] = []
  readonly #arrivals = new EventEmitter()

  constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(WAIT_MS)
    page.on('console', message => message.type() === 'error' && this.errors.push(message.text()))
    page.on('pageerror', error => this.errors.push(String(error)))
    page.on('websocket', socket => {
      socket.on('framereceived', ({ payload }) => {
        const frame = JSON.parse(String(payload)) as Record<string, unknown>
        if (frame['op'] !== 'event') return
        this.events.push(frame)
        this.#arrivals.emit('event')
      })
    })
  }

  static async open(browser: Browser, link: string): Promise<Person> {
    const context = await browser.newContext({ reducedMotion: 'reduce', viewport: VIEWPORT })
    const person = new Person(await context.newPage())
    await person.page.goto(link)
    return person
  }

  async say(text: string): Promise<void> {
    const box = this.page.getByRole('textbox', { name: 'Message' })
    await box.fill(text)
    await box.press('Enter')
  }

  /** Resolves when this is the last message of the open thread. */
  async reads(text: string): Promise<void> {
    await this.page.locator('.messages:not([hidden]) > :last-child .text').getByText(text, { exact: true }).waitFor()
  }

  /** Resolves when the relay itself has brought this message, and it is read. */
  async hears(text: string): Promise<void> {
    const signal = AbortSignal.timeout(WAIT_MS)
    while (!this.events.some(({ data }) => (data as { text: string } | undefined)?.text === text)) {
      await once(this.#arrivals, 'event', { signal })
    }
    await this.reads(text)
  }

  async isShown(state: 'Live' | 'Reconnecting'): Promise<void> {
    await this.page.getByRole('status').getByText(state, { exact: true }).waitFor()
  }

  thread(name: string): Locator {
    return this.page.getByRole('button', { name: new RegExp(`^${name}`) })
  }

  async texts(): Promise<string[]> {
    return this.page.locator('.messages:not([hidden]) .text').allTextContents()
  }
}

const demo = new Demo()
t.teardown(async () => {
  await demo.end()
  rmSync(demo.folder, { recursive: true, force: true })
})
const relayPort = Number(await demo.printed(/ws:\/\/127\.0\.0\.1:(\d+)/))
const browser = await openChromium()
t.teardown(() => browser.close())
const alice = await Person.open(browser, await demo.printed(/(http:\S+as=Alice)/))
const bob = await Person.open(browser, await demo.printed(/(http:\S+as=Bob)/))
await Promise.all([alice.isShown('Live'), bob.isShown('Live')])

await t.test('markup in a message is shown as the text that it is', async t => {
  const markup = '<img src=x onerror="document.title=1"> <b>bold</b> & "quoted"'
  await bob.say(markup)
  await alice.hears(markup)
  for (const { page } of [alice, bob]) {
    t.equal(await page.locator('.messages img, .messages b').count(), 0)
    t.not(await page.title(), '1')
  }
})

await t.test('what one person writes, the other reads at once, and the other way round', async t => {
  await alice.say('Good morning! Is the sketch ready?')
  await bob.hears('Good morning! Is the sketch ready?')
  await bob.say('Nearly. It will be in Design by noon.')
  await alice.hears('Nearly. It will be in Design by noon.')
  t.same(await alice.texts(), await bob.texts())
  const [own, answer] = alice.events.slice(-2)
  t.same(Object.keys(own ?? {}), ['op', 'chain', 'stamp', 'prev', 'id', 'own'], 'of her own she is told only the place')
  t.equal(answer?.['prev'], own?.['stamp'])
})

await t.test('a message in a thread that is not open is counted there', async t => {
  await bob.thread('Design').click()
  await bob.say('Here it is: two columns, one quiet colour, and room to breathe.')
  await alice.thread('Design').getByLabel('1 new').waitFor()
  t.match(await alice.page.title(), /^\(1\)/)
  await alice.thread('Design').click()
  await alice.hears('Here it is: two columns, one quiet colour, and room to breathe.')
  t.notMatch(await alice.page.title(), /^\(/)
  await bob.thread('Team').click()
  await alice.thread('Team').click()
})

await t.test('pictures', { skip: process.env['SCREENSHOT'] === undefined }, async () => {
  await takePictures(process.env['SCREENSHOT'] ?? '')
})

await t.test('with the relay killed the chat goes on, and when it is back nothing is missing or doubled', async t => {
  const before = await bob.texts()
  process.kill(Number(await demo.printed(/relay .*process (\d+)/)), 'SIGKILL')
  // While somebody else has the port, the demo cannot start the relay again: so this lasts as long as the test wants.
  const squatter = await squat(relayPort)
  t.teardown(() => squatter.close())
  await Promise.all([alice.isShown('Reconnecting'), bob.isShown('Reconnecting')])
  await alice.say('Has the relay gone?')
  await bob.reads('Has the relay gone?')
  await bob.say('Yes, and here I am.')
  await alice.reads('Yes, and here I am.')
  await Promise.all([alice.isShown('Reconnecting'), bob.isShown('Reconnecting')])

  squatter.close()
  await demo.printed(/relay is back \(process (\d+)\)/)
  await Promise.all([alice.isShown('Live'), bob.isShown('Live')])
  await alice.say('It is back.')
  await bob.hears('It is back.')
  await bob.say('As if nothing had happened.')
  await alice.hears('As if nothing had happened.')

  const all = [...before, 'Has the relay gone?', 'Yes, and here I am.', 'It is back.', 'As if nothing had happened.']
  t.same(await alice.texts(), all)
  t.same(await bob.texts(), all)
})

await t.test('the browser reports no errors but the connections that failed', async t => {
  for (const { errors } of [alice, bob]) {
    t.same(
      errors.filter(error => !/^WebSocket connection to '\S+' failed/.test(error)),
      [],
    )
  }
})

await t.test('Ctrl-C ends the demo and its relay and leaves no file behind', async t => {
  const relay = Number(await demo.printed(/relay is back \(process (\d+)\)/))
  t.equal(await demo.end(), 0)
  t.throws(() => process.kill(relay, 0), { code: 'ESRCH' })
  t.same(readdirSync(demo.folder), [])
})

/** Takes a port as soon as it is free, and hangs up on everybody who calls there. */
async function squat(port: number): Promise<Server> {
  for (;;) {
    const server = createServer(socket => socket.destroy())
    const isOurs = await new Promise(resolve => {
      server.once('listening', () => resolve(true))
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1')
    })
    if (isOurs === true) return server
  }
}

async function takePictures(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const) {
    await alice.page.emulateMedia({ colorScheme })
    await alice.page.screenshot({ path: join(folder, `desktop-${colorScheme}.png`) })
    await bob.page.setViewportSize({ width: 390, height: 844 })
    await bob.page.emulateMedia({ colorScheme })
    await bob.page.screenshot({ path: join(folder, `phone-${colorScheme}.png`) })
    await bob.page.setViewportSize(VIEWPORT)
  }
}
