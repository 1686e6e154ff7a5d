import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { Teardown } from './relay.ts'

const WAIT_MS = 30_000
const DESKTOP = { viewport: { width: 1280, height: 800 } }
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

/** The demo as a process of its own, on free ports. */
export class Demo {
  readonly #folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  readonly #child: ChildProcess
  readonly #lines: string[] = []

  private constructor() {
    const script = fileURLToPath(new URL('../../examples/chat/demo.js', import.meta.url))
    // Nobody answers there: calls on one machine go without.
    const ice = { THROUGHLINE_ICE: '{"urls":["stun:127.0.0.1:9"]}' }
    const env = { ...process.env, ...ice, PORT: '0', TMPDIR: this.#folder }
    this.#child = spawn(process.execPath, [script, '--verbose'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    // If a test is ended from outside, nobody waits for this.
    process.once('exit', () => this.#child.kill('SIGINT'))
    createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', line => {
      this.#lines.push(line)
      this.#child.emit('line')
    })
  }

  static async open(t: Teardown): Promise<Demo> {
    const demo = new Demo()
    t.teardown(async () => {
      await demo.end()
      rmSync(demo.#folder, { recursive: true, force: true })
    })
    await demo.printed(/(Ctrl-C)/)
    return demo
  }

  /** Resolves with what the pattern's group matches, as soon as the demo has printed such a line. */
  async printed(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const [found] = this.all(pattern)
        if (found === undefined) return
        this.#child.off('line', look)
        resolve(found)
      }
      this.#child.on('line', look)
      this.#child.once('exit', () => reject(new Error(`the demo ended and never printed ${pattern}`)))
      look()
    })
  }

  /** Returns what the pattern's group has matched so far, in each line that it does. */
  all(pattern: RegExp): string[] {
    return this.#lines.flatMap(line => pattern.exec(line)?.[1] ?? [])
  }

  /** How many connections the relay has. */
  async connections(): Promise<number> {
    const admin = await this.printed(/"port":"admin".*"address":"([^"]+)"/)
    const text = await (await fetch(`http://${admin}/metrics`)).text()
    return Number(/^throughline_connections (\d+)/m.exec(text)?.[1])
  }

  /** What it has left in the folder for temporary files. */
  files(): string[] {
    return readdirSync(this.#folder)
  }

  async end(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGINT')
      await once(this.#child, 'exit')
    }
    return this.#child.exitCode
  }
}

/** One person, in a window. */
export class Person {
  readonly page: Page
  readonly errors: string[] = []

  constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(WAIT_MS)
    page.on('console', message => message.type() === 'error' && this.errors.push(message.text()))
    page.on('pageerror', error => this.errors.push(String(error)))
  }

  /** Opens a link in a browser of their own. */
  static async open(browser: Browser, link: string, options: BrowserContextOptions = DESKTOP): Promise<Person> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    const person = new Person(await context.newPage())
    await person.page.goto(link)
    return person
  }

  get box(): Locator {
    return this.page.getByRole('textbox', { name: 'Message' })
  }

  async say(text: string): Promise<void> {
    await this.box.fill(text)
    await this.box.press('Enter')
  }

  /** Resolves when this is the last message of the open conversation. */
  async reads(text: string): Promise<void> {
    await this.page.locator('.messages > :last-child .text').getByText(text, { exact: true }).waitFor()
  }

  /** Resolves when the last message of the open conversation, one of their own, has got so far. */
  async hasTick(name: string): Promise<void> {
    await this.page.locator('.messages > :last-child').getByRole('img', { name, exact: true }).waitFor()
  }

  async isShown(state: 'live' | 'polling', timeout = WAIT_MS): Promise<void> {
    const shown = this.page.getByRole('status').getByText(state, { exact: true }).filter({ visible: true })
    await shown.waitFor({ timeout })
  }

  conversation(name: string): Locator {
    return this.page.getByRole('link', { name: new RegExp(`^${name}`) })
  }

  async opens(name: string): Promise<void> {
    await this.conversation(name).click()
    await this.page.getByRole('heading', { name, level: 2 }).waitFor()
  }

  async press(name: string): Promise<void> {
    await this.page.getByRole('button', { name }).click()
  }

  async texts(): Promise<string[]> {
    return this.page.locator('.messages .text').allTextContents()
  }

  /** How many events have come over the connection, and how many were fetched from the origin. */
  async counts(): Promise<{ live: number; fetched: number }> {
    const count = async (id: string): Promise<number> => Number(await this.page.locator(`#${id}`).textContent())
    return { live: await count('live'), fetched: await count('fetched') }
  }

  /** Resolves when they are in a call of this kind, and pings come back. */
  async talks(how: string): Promise<void> {
    await this.page.getByRole('dialog').getByText(how).waitFor()
    await this.page.locator('#call-ping').filter({ hasText: / ms$/ }).waitFor()
  }

  /** Draws a wave on the board of the call, so far from its middle. */
  async draw(off = 0): Promise<void> {
    const { x, y, width, height } = (await this.page.locator('#call-board').boundingBox())!
    for (let step = 0; step <= 60; step++) {
      await this.page.mouse.move(x + width * (0.2 + step / 100), y + height * (0.5 + off + Math.sin(step / 6) / 4))
      if (step === 0) await this.page.mouse.down()
    }
    await this.page.mouse.up()
  }

  /** Whether anything is on the board of the call. */
  async hasDrawing(): Promise<boolean> {
    return this.page.evaluate(`(() => {
      const board = document.getElementById('call-board')
      const { data } = board.getContext('2d').getImageData(0, 0, board.width, board.height)
      return data.some(byte => byte !== 0)
    })()`)
  }

  /** What is wider than the window or beside it, by name. */
  async sticksOut(): Promise<string[]> {
    return this.page.evaluate(`[...document.querySelectorAll('body, body *')].flatMap(each => {
      const { left, right, width } = each.getBoundingClientRect()
      const isIn = width <= 1 || (left >= -0.5 && right <= innerWidth + 0.5)
      return isIn && each.scrollWidth <= Math.max(each.clientWidth, 1) + (each.matches('.preview, .name, p, h1, h2, .unseen') ? 9999 : 0)
        || isIn && getComputedStyle(each).display.startsWith('inline') ? [] : each.outerHTML.slice(0, 80)
    })`)
  }
}
