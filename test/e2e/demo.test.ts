import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { openChromium } from '../support/chromium.ts'
import { Demo, Person, PHONE } from '../support/demo.ts'
import { takePictures } from '../support/demo-pictures.ts'
import { until } from '../support/until.ts'

// The whole demo as a newcomer starts it, and people in a real browser. SCREENSHOT=folder keeps pictures of it.

const WAIT_MS = 30_000
t.setTimeout(300_000)

const demo = await Demo.open(t)
const browser = await openChromium('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream')
t.teardown(() => browser.close())
const alice = await Person.open(browser, await demo.printed(/(http:\S+as=Alice)/))
const bob = await Person.open(browser, await demo.printed(/(http:\S+as=Bob)/))
await Promise.all([alice.isShown('live'), bob.isShown('live')])

await t.test('markup in a message is shown as the text that it is', async t => {
  const markup = '<img src=x onerror="document.title=1"> <b>bold</b> & "quoted"'
  await bob.say(markup)
  await alice.reads(markup)
  for (const { page } of [alice, bob]) {
    t.equal(await page.locator('.messages img, .messages b').count(), 0)
    t.equal(await page.locator('.item img, .item b').count(), 0, 'nor in the list')
    t.not(await page.title(), '1')
  }
})

await t.test('a message is sent, delivered and seen, and its author sees each', async t => {
  await alice.opens('Carol')
  await alice.say('Are you coming?')
  await alice.hasTick('Sent')
  await alice.opens('Bob')
  await alice.say('Good morning! Is the sketch ready?')
  await alice.hasTick('Delivered')
  await bob.conversation('Alice').getByLabel('1 unread').waitFor()
  t.match(await bob.page.title(), /^\(1\)/)
  await bob.opens('Alice')
  await bob.reads('Good morning! Is the sketch ready?')
  await alice.hasTick('Seen')
  await until(async () => !(await bob.page.title()).startsWith('('), { what: 'a title without a number' })
  // What was only said by the relay is remembered by the origin.
  await alice.page.reload()
  await alice.hasTick('Seen')
})

await t.test('what one person writes, the other reads at once, over the connection', async t => {
  await Promise.all([alice.isShown('live'), bob.isShown('live')])
  const before = await bob.counts()
  await bob.say('Nearly. Two columns, and one quiet colour.')
  await alice.reads('Nearly. Two columns, and one quiet colour.')
  await alice.say('Lovely.')
  await bob.reads('Lovely.')
  t.same(await alice.texts(), await bob.texts())
  const after = await bob.counts()
  t.ok(after.live > before.live)
  t.equal(after.fetched, before.fetched, 'nothing had to be asked for')
})

await t.test('the other sees that one is typing, until the message is there', async () => {
  const typing = alice.page.locator('#about').getByText('typing…')
  await bob.box.pressSequentially('Have a look')
  await typing.waitFor()
  await bob.box.press('Enter')
  await alice.reads('Have a look')
  await typing.waitFor({ state: 'hidden' })
})

await t.test('two tabs of one person share a connection, and both show everything', async t => {
  const connections = await demo.connections()
  t.equal(connections, 2)
  const tab = new Person(await bob.page.context().newPage())
  await tab.page.goto(bob.page.url())
  await tab.isShown('live')
  await tab.say('From the other tab.')
  for (const person of [alice, bob, tab]) await person.reads('From the other tab.')
  await alice.say('Which one?')
  for (const person of [bob, tab]) await person.reads('Which one?')
  t.equal(await demo.connections(), connections)
  t.same(tab.errors, [])
  await tab.page.close()
})

const guestDot = alice.conversation('Zoë').getByRole('img', { name: 'online' })
await t.test('a guest is new to everybody, and seen to be online', async () => {
  const guest = await Person.open(browser, bob.page.url().replace(/as=Bob.*/, 'as=Zo%C3%AB'))
  await guestDot.waitFor()
  await alice.opens('Zoë')
  await alice.say('Welcome!')
  await guest.opens('Alice')
  await guest.reads('Welcome!')
  await alice.hasTick('Seen')
  await guest.page.context().close()
  await alice.opens('Bob')
})

await t.test('on a phone everything is within its width', async t => {
  const carol = await Person.open(browser, bob.page.url().replace(/as=Bob.*/, 'as=Carol'), PHONE)
  await carol.isShown('live')
  t.same(await carol.sticksOut(), [], 'the list')
  await carol.opens('Everyone')
  await carol.say(`https://example.com/${'long'.repeat(60)}`)
  await carol.hasTick('Delivered to Alice and Bob')
  t.same(await carol.sticksOut(), [], 'a conversation')
  await carol.page.goBack()
  await carol.conversation('Alice').waitFor()
  await carol.opens('Alice')
  await carol.press('Call Alice')
  await alice.press('Accept')
  await carol.page.getByRole('dialog').getByText('You can talk and draw').waitFor()
  t.same(await carol.sticksOut(), [], 'a call')
  await carol.press('Hang up')
  await carol.page.context().close()
})

await t.test('a guest who has left is no longer online', async () => {
  await guestDot.waitFor({ state: 'hidden' })
})

await t.test('pictures', { skip: process.env['SCREENSHOT'] === undefined }, async t => {
  await takePictures(browser, await Demo.open(t), process.env['SCREENSHOT'] ?? '')
})

await t.test('what cannot be sent is kept over a reload, and saved once even if the answer is lost', async t => {
  const { page } = alice
  await page.route('**/messages', route => route.abort())
  await alice.say('Kept')
  await alice.say('in order')
  await alice.hasTick('Waiting to be sent')
  await page.reload()
  await alice.hasTick('Waiting to be sent')
  let lost = 0
  // Of two routes the newer one counts.
  await page.route('**/messages', async route => {
    await route.fetch()
    await route.abort()
    lost++
    await page.unroute('**/messages')
  })
  await bob.reads('in order')
  await alice.hasTick('Seen')
  t.ok(lost > 0)
  for (const person of [alice, bob]) t.same((await person.texts()).slice(-2), ['Kept', 'in order'])
})

await t.test('what the origin refuses is shown as not sent, and can be sent again or discarded', async t => {
  const { page } = alice
  const texts = await alice.texts()
  const refuse = { status: 422, contentType: 'application/json', body: '{"error":"Not today."}' }
  await page.route('**/messages', route => route.fulfill(refuse))
  await alice.say('Once more')
  await alice.hasTick('Not sent')
  await page.getByText('Not today.').waitFor()
  await alice.say('Never mind')
  await page.getByRole('button', { name: 'Discard' }).nth(1).click()
  await page.unroute('**/messages')
  await alice.press('Try again')
  await bob.reads('Once more')
  await alice.hasTick('Seen')
  t.same(await alice.texts(), [...texts, 'Once more'])
})

await t.test('with the relay killed the talk goes on, and when it is back nothing is missing or doubled', async t => {
  const before = await bob.texts()
  const port = Number(await demo.printed(/ws:\/\/127\.0\.0\.1:(\d+)/))
  process.kill(Number(await demo.printed(/relay .*process (\d+)/)), 'SIGKILL')
  // While somebody else has the port, the demo cannot start the relay again: so this lasts as long as the test wants.
  const squatter = await squat(port, t)
  await alice.say('Has the relay gone?')
  await Promise.all([alice.isShown('polling'), bob.isShown('polling')])
  await bob.reads('Has the relay gone?')
  await bob.say('Yes, and here I am.')
  await alice.reads('Yes, and here I am.')
  await bob.hasTick('Seen')
  await Promise.all([alice.isShown('polling'), bob.isShown('polling')])

  // In vain, but from here on they try more often again.
  await Promise.all([alice.press('Try now'), bob.press('Try now')])
  squatter.close()
  await alice.say('While it starts')
  await demo.printed(/relay is back \(process (\d+)\)/)
  await Promise.all([alice.isShown('live'), bob.isShown('live')])
  await alice.say('It is back.')
  await bob.reads('It is back.')
  await bob.say('As if nothing had happened.')
  await alice.reads('As if nothing had happened.')

  const said = ['Has the relay gone?', 'Yes, and here I am.', 'While it starts', 'It is back.']
  const all = [...before, ...said, 'As if nothing had happened.']
  t.same(await alice.texts(), all)
  t.same(await bob.texts(), all)
})

await t.test('a button cuts the connection, and it comes back by itself', async () => {
  await bob.press('Cut the connection')
  await bob.isShown('polling')
  await bob.say('Cut!')
  await alice.reads('Cut!')
  // The longest pause between two attempts is 30 s.
  await bob.isShown('live', 2 * WAIT_MS)
})

await t.test('the browser reports no errors but the calls that failed', async t => {
  for (const { errors } of [alice, bob]) {
    t.same(
      errors.filter(error => !/^WebSocket connection to '\S+' failed|net::ERR_FAILED|status of 422/.test(error)),
      [],
    )
  }
})

await t.test('Ctrl-C ends the demo and its relay and leaves no file behind', async t => {
  const relays = demo.all(/process (\d+)\)/).map(Number)
  t.equal(relays.length, 3)
  t.equal(await demo.end(), 0)
  for (const relay of relays) t.throws(() => process.kill(relay, 0), { code: 'ESRCH' })
  t.same(demo.files(), [])
})

/** Takes a port as soon as it is free, and hangs up on everybody who calls there. */
async function squat(port: number, t: Test): Promise<Server> {
  for (;;) {
    const server = createServer(socket => socket.destroy())
    const isOurs = await new Promise(resolve => {
      server.once('listening', () => resolve(true))
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1')
    })
    if (isOurs === true) {
      t.teardown(() => server.close())
      return server
    }
  }
}
