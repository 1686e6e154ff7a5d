import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Envelope, Handover, PublicIdentity } from '@throughline/client/e2e'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { openChromium } from '../../support/chromium.ts'
import { Client } from '../../support/client.ts'
import { call, Site, startRelay } from '../../support/relay.ts'

// Two people in a real browser, a real relay, and an origin that stores and passes on only what it cannot read.

t.setTimeout(300_000)

const SCRIPT = readFileSync(new URL('../../../../client/dist/script/e2e.js', import.meta.url))

/** What a page of the application does; `data` of its events is who sent it, by the origin's word, and what was sealed. */
const PAGE = `<!doctype html><title>sealed</title><script src="/e2e.js"></script><script>
let store, identity, thread, socket, before = Promise.resolve()
const said = []

async function start(user) {
  store = await ThroughlineE2e.openStore(user)
  identity = store.identity
  return identity.public
}

async function join(url, token, members) {
  thread = await ThroughlineE2e.openThread({ thread: '42', identity, members, state: await store.load('42') })
  socket = new WebSocket(url)
  const subscribed = new Promise(resolve => {
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data)
      if (frame.op === 'connected') socket.send(JSON.stringify({ op: 'subscribe', id: 2, threads: ['42'] }))
      if (frame.op === 'subscribed') resolve()
      if (frame.op === 'event') before = before.then(() => take(frame))
    }
  })
  socket.onopen = () => socket.send(JSON.stringify({ op: 'connect', id: 1, token }))
  await subscribed
}

async function take({ type, id, sender, data }) {
  if (type === 'key') {
    const accepted = await thread.accept(data.sealed, { sender: data.from })
    if (accepted.ok) await store.save(thread.export())
    return said.push(accepted.ok ? 'a key' : accepted.code)
  }
  const opened = sender
    ? await thread.open(data, { sender: sender.user, type, id })
    : await thread.open(data.sealed, { sender: data.from, type, id })
  said.push(opened.ok ? opened.sender.user + ' ' + type + ' ' + JSON.stringify(opened.value) : opened.code)
}

async function send(type, value) {
  const data = await thread.seal(type, value, { maxBytes: 16384 })
  socket.send(JSON.stringify({ op: 'send', id: 3, thread: '42', type, data }))
}
</script>`

const origin = createServer(({ url }, response) => {
  if (url === '/e2e.js') response.setHeader('content-type', 'text/javascript').end(SCRIPT)
  else response.setHeader('content-type', 'text/html').end(PAGE)
})
t.teardown(() => origin.close())
await once(origin.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/`

const acme = new Site('acme')
const relay = await startRelay(t, acme.entry({ origins: [new URL(url).origin] }))
const browser = await openChromium()
t.teardown(() => browser.close())

interface Person {
  readonly user: string
  readonly page: Page
  readonly public: PublicIdentity
}

/** Opens a browser of its own for a user: only what is in its IndexedDB outlives a page. */
async function openPerson(user: string): Promise<Person> {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  const page = await context.newPage()
  await page.goto(url)
  return { user, page, public: await page.evaluate(`start('${user}')`) }
}

async function join({ user, page }: Person, people: readonly Person[]): Promise<void> {
  const token = acme.user(user, { 42: ['read', 'send'] })
  await page.evaluate(`join('${relay.ws}', '${token}', ${JSON.stringify(people.map(one => one.public))})`)
}

/** What the origin does with what a page asks it to save. */
async function publish(from: string, type: string, sealed: Envelope | Handover): Promise<void> {
  const event = { to: { thread: '42' }, type, data: { from, sealed } }
  const { status } = await call(relay, acme.server(), '/v1/publish', event)
  if (status !== 200) throw new Error(`the relay answered ${status}`)
}

async function hears(t: Test, { page }: Person, ...expected: string[]): Promise<void> {
  await page.waitForFunction(`said.length >= ${expected.length}`)
  t.strictSame(await page.evaluate('said.splice(0)'), expected)
}

const people = [await openPerson('7'), await openPerson('8')] as const
const [ada, ben] = people
const wire = await Client.connect(t, relay, acme.user('9', { 42: ['read'] }))
await wire.subscribe('42')

await t.test('two pages talk through the relay, which sees who talks, and not what they say', async t => {
  for (const person of people) await join(person, people)
  await publish('7', 'key', await ada.page.evaluate('thread.rotate()'))
  for (const person of people) await hears(t, person, 'a key')
  const envelope: Envelope = await ada.page.evaluate(`thread.seal('message', { text: 'rendezvous' })`)
  await publish('7', 'message', envelope)
  for (const person of people) await hears(t, person, '7 message {"text":"rendezvous"}')
  await ben.page.evaluate(`send('typing', 'rendezvous')`)
  await hears(t, ada, '8 typing "rendezvous"')
  await publish('8', 'message', envelope)
  await publish('7', 'message', envelope)
  await publish('7', 'note', envelope)
  for (const person of people) await hears(t, person, 'wrong_sender', 'replay', 'tampered')
  await wire.expect(({ type }) => type === 'note', 'all that the relay saw')
  t.match(wire.raw.join(), /"sealed".*"type":"typing"/s)
  t.notMatch(wire.raw.join(), /rendezvous/)
})

await t.test('a page that was loaded anew is the same device, with the keys that it had', async t => {
  const envelope: Envelope = await ada.page.evaluate(`thread.seal('message', 'still there?')`)
  await ben.page.reload()
  t.strictSame(await ben.page.evaluate(`start('8')`), ben.public)
  await join(ben, people)
  await publish('7', 'message', envelope)
  await hears(t, ben, '7 message "still there?"')
})

await t.test('tabs that start at the same time are one device, and keep what the other one saved', async t => {
  const other = await ben.page.context().newPage()
  await other.goto(url)
  const [first, second] = await Promise.all([ben.page, other].map(page => page.evaluate(`start('another')`)))
  t.strictSame(first, second)
  // Ben's first tab knows one key, and the other tab another.
  const tab = { ...ben, page: other }
  await other.evaluate(`start('8')`)
  await join(tab, people)
  await ben.page.evaluate('socket.close()')
  await publish('7', 'key', await ada.page.evaluate('thread.rotate()'))
  await hears(t, tab, 'a key')
  await ben.page.evaluate('store.save(thread.export())')
  const keys = await other.evaluate(`store.load('42').then(state => state.epochs.length)`)
  t.equal(keys, 2)
})
