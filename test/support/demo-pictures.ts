import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { type Demo, Person, PHONE } from './demo.ts'

/**
 * The pictures of a demo that was just started: two people side by side, and one on a phone. Those in light are docs/demo.png
 * and docs/demo-phone.png.
 */
const HALF = { viewport: { width: 800, height: 640 } }
const GAP = 24

type Scheme = 'light' | 'dark'

export async function takePictures(browser: Browser, demo: Demo, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const scheme of ['light', 'dark'] as const) {
    const open = async (name: string, options: BrowserContextOptions): Promise<Person> => {
      const link = await demo.printed(new RegExp(`(http:\\S+as=${name})`))
      const person = await Person.open(browser, link, { colorScheme: scheme, ...options })
      await person.isShown('live')
      return person
    }
    const [alice, bob] = [await open('Alice', HALF), await open('Bob', HALF)]
    const carol = await open('Carol', PHONE)
    if (scheme === 'light') await talk(alice, bob, carol)
    await alice.opens('Bob')
    await bob.opens('Alice')
    await bob.box.fill('Shall I call you and draw what')
    await alice.page.locator('#dots').waitFor()
    await paste(browser, scheme, [alice, bob], join(folder, `${scheme}-desktop.png`))

    await carol.conversation('Alice').getByLabel('1 unread').waitFor()
    await carol.page.evaluate('document.activeElement.blur()')
    const list = await carol.page.screenshot()
    await carol.opens('Everyone')
    const group = await carol.page.screenshot()
    await carol.page.goBack()
    await carol.opens('Bob')
    await bob.opens('Carol')
    await bob.press('Call Carol')
    await carol.press('Accept')
    for (const person of [bob, carol]) {
      await person.page.locator('#call-ping').filter({ hasText: / ms$/ }).waitFor()
      await person.draw(person === bob ? 0 : 0.2)
    }
    await paste(browser, scheme, [list, group, carol], join(folder, `${scheme}-phone.png`))
    for (const { page } of [alice, bob, carol]) await page.context().close()
  }
}

async function talk(alice: Person, bob: Person, carol: Person): Promise<void> {
  await alice.opens('Carol')
  await alice.say('The sketches are here. Come and see!')
  await alice.opens('Bob')
  await bob.opens('Alice')
  await alice.say('Good morning! Did the sketches arrive?')
  await bob.reads('Good morning! Did the sketches arrive?')
  await bob.say('They did. Two columns, one quiet colour, and room to breathe.')
  await bob.say('The second one is my favourite.')
  await alice.reads('The second one is my favourite.')
  await alice.say('Mine too. What would you change?')
  await bob.opens('Everyone')
  await bob.say('Lunch at half past twelve?')
  await carol.opens('Everyone')
  await carol.say('I am in. The place by the river, if it is open.')
  await bob.reads('I am in. The place by the river, if it is open.')
  await bob.say('It is! See you there.')
  await carol.reads('It is! See you there.')
  await carol.page.goBack()
  await carol.opens('Bob')
  await carol.say('Do you bring the second sketch?')
  await bob.conversation('Carol').getByLabel('1 unread').waitFor()
  await bob.opens('Carol')
  await bob.say('Yes. Let me show you what I would change.')
  await carol.reads('Yes. Let me show you what I would change.')
  await carol.page.goBack()
}

/** Puts windows side by side on the colour of their ground. */
async function paste(
  browser: Browser,
  scheme: Scheme,
  parts: readonly (Person | Buffer)[],
  path: string,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 2000, height: 1000 } })
  const images: string[] = []
  for (const part of parts) {
    const picture = Buffer.isBuffer(part) ? part : await part.page.screenshot()
    images.push(`<img src="data:image/png;base64,${picture.toString('base64')}">`)
  }
  const ground = scheme === 'light' ? '#d3dcda' : '#000'
  await page.setContent(
    `<style>body { margin: 0 } div { display: inline-flex; gap: ${GAP}px; padding: ${GAP}px; background: ${ground} }
    img { border-radius: 14px }</style><div>${images.join('')}</div>`,
  )
  await page.locator('div').screenshot({ path })
  await page.close()
}
