import type { Locator } from 'playwright-core'
import t from 'tap'
import { openChromium } from '../support/chromium.ts'
import { Demo, Person, PHONE } from '../support/demo.ts'
import { until } from '../support/until.ts'

// Calls of the demo: signalling by the relay, the rest from browser to browser.

t.setTimeout(300_000)

const demo = await Demo.open(t)
const links = {
  alice: await demo.printed(/(http:\S+as=Alice)/),
  bob: await demo.printed(/(http:\S+as=Bob)/),
  carol: await demo.printed(/(http:\S+as=Carol)/),
}
const browser = await openChromium('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream')
t.teardown(() => browser.close())

await t.test('a call rings, is accepted, carries pings and drawings, and ends for both', async t => {
  const [alice, bob] = [await Person.open(browser, links.alice), await Person.open(browser, links.bob)]
  const tab = new Person(await bob.page.context().newPage())
  await tab.page.goto(links.bob)
  for (const person of [alice, bob, tab]) await person.isShown('live')
  await alice.opens('Bob')
  await bob.opens('Alice')

  await alice.press('Call Bob')
  for (const { page } of [tab, bob]) {
    await page.getByRole('dialog', { name: 'Alice' }).getByText('is calling you').waitFor()
  }
  await bob.press('Accept')
  await tab.page.getByRole('dialog').waitFor({ state: 'hidden' })
  for (const person of [alice, bob]) await person.talks('You can talk and draw')
  await alice.draw()
  await until(() => bob.hasDrawing(), { what: 'the drawing on the other side' })

  const carol = await Person.open(browser, links.carol, PHONE)
  await carol.isShown('live')
  await carol.opens('Alice')
  await carol.press('Call Alice')
  await carol.page.getByText('Busy in another call').waitFor()

  await alice.press('Hang up')
  for (const { page } of [alice, bob]) await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await bob.press('Call Alice')
  await alice.page.getByRole('button', { name: 'Decline' }).waitFor()
  await alice.page.keyboard.press('Escape')
  await bob.page.getByText('Declined').waitFor()
  for (const person of [alice, bob, tab, carol]) {
    t.same(person.errors, [])
    await person.page.context().close()
  }
})

await t.test('without a microphone two people draw, also when both have called at once', async t => {
  const browser = await openChromium()
  t.teardown(() => browser.close())
  const [alice, bob] = [await Person.open(browser, links.alice), await Person.open(browser, links.bob)]
  for (const person of [alice, bob]) await person.isShown('live')
  await alice.opens('Bob')
  await bob.opens('Alice')
  // Where one was faster, the other is asked, and the question may stand above the button.
  const presses = ([who, name]: [Person, string]): Promise<void> =>
    who.page
      .getByRole('button', { name })
      .click({ timeout: 2000 })
      .catch(() => undefined)
  const buttons: [Person, string][] = [
    [alice, 'Call Bob'],
    [bob, 'Call Alice'],
  ]
  const accept = ({ page }: Person): Locator => page.getByRole('button', { name: 'Accept' })
  const inCall = (who: Person): Locator => accept(who).or(who.page.locator('#call-board')).filter({ visible: true })
  // On a busy machine neither may have been pressed in time.
  await until(
    async () => {
      await Promise.all(buttons.map(presses))
      return (await inCall(alice).count()) + (await inCall(bob).count()) > 0
    },
    { what: 'a call', ms: 30_000 },
  )
  for (const who of [alice, bob]) {
    await inCall(who).waitFor()
    if (await accept(who).isVisible()) await accept(who).click()
  }
  for (const person of [alice, bob]) await person.talks('No microphone: draw')
  await bob.draw()
  await until(() => alice.hasDrawing(), { what: 'the drawing on the other side' })
  for (const { errors } of [alice, bob]) t.same(errors, [])
})
