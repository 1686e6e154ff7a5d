/** What the tabs of a browser do when the best way to share a connection fails. */
import { createRequire } from 'node:module'
import { t } from 'tap'
import { openScene, type Tab, type TabOptions } from '../../support/tabs.ts'
import { until } from '../../support/until.ts'

t.setTimeout(300_000)

const { version: VERSION } = createRequire(import.meta.url)('../../../../client/package.json') as { version: string }

const scene = await openScene(t, script => ({
  '/old.js': script.replaceAll(VERSION, '0.0.0'),
  '/other.js': 'addEventListener("connect", () => {})',
  '/ends.js': `${script};addEventListener('connect', ({ ports }) => ports[0].addEventListener('message', ({ data }) => data[1].op === 'reconnect' && close()))`,
}))
const { origin, context } = scene
let users = 200

async function twoTabs(options: TabOptions): Promise<Tab[]> {
  const user = String(++users)
  const tabs = [await scene.open({ user, ...options }), await scene.open({ user, ...options })]
  for (const tab of tabs) await tab.live()
  return tabs
}

async function closeAll(): Promise<void> {
  for (const page of context.pages()) await page.close()
  await until(async () => (await scene.connections()) === 0, { what: 'a relay without connections' })
}

const WORKERS: Record<string, [path: string, says: RegExp]> = {
  'that is missing': ['/missing.js', /\/missing\.js: it could not be loaded/],
  'of another version': ['/old.js', /\/old\.js: version 0\.0\.0 there, [\d.]+ here/],
  'of another origin': ['https://example.com/throughline.js', /SecurityError/],
  'that is not ours': ['/other.js', /\/other\.js: no answer/],
}
for (const [which, [workerUrl, says]] of Object.entries(WORKERS)) {
  await t.test(`instead of a worker ${which} a tab leads, and an error says why`, async t => {
    const tabs = await twoTabs({ workerUrl })
    const [a, b] = await Promise.all(tabs.map(tab => tab.seen()))
    t.equal(a!.connection, b!.connection)
    t.equal(await scene.connections(), 1)
    for (const { errors } of [a!, b!]) {
      t.equal(errors.length, 1)
      t.match(errors[0], /^sharing_failed: /)
      t.match(errors[0], says)
    }
    await closeAll()
  })
}

await t.test('without Web Locks, in an insecure context, a worker is shared, and knows who has closed', async t => {
  const [a, b] = (await twoTabs({ isInsecure: true })) as [Tab, Tab]
  t.equal(await a.page.evaluate('navigator.locks'), undefined)
  t.equal(await scene.connections(), 1)
  await a.page.evaluate('relay.close()')
  origin.save('thread:1', 'one left')
  t.same(await b.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
  await b.page.evaluate('relay.close()')
  await until(async () => (await scene.workers()).length === 0, { what: 'no worker' })
  await closeAll()
})

await t.test('without Web Locks and without a worker each tab has its own connection', async t => {
  const [a, b] = (await twoTabs({ isInsecure: true, share: 'leader' })) as [Tab, Tab]
  t.equal(await scene.connections(), 2)
  for (const tab of [a, b]) t.same((await tab.seen()).errors, [])
  await closeAll()
})

await t.test('a page that cannot be asked what was missed does not answer for those that can', async t => {
  const user = String(++users)
  const able = await scene.open({ user })
  const mute = await scene.open({ user, isMute: true })
  for (const tab of [able, mute]) await tab.live()
  await able.page.evaluate('relay.reconnect()')
  origin.save('thread:1', 'meanwhile')
  t.same(await able.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
  t.equal(await scene.connections(), 2)
  await closeAll()
})

await t.test('a worker that ends is started again, and nothing is lost', async t => {
  const tabs = await twoTabs({ workerUrl: '/ends.js' })
  const { connection } = await tabs[0]!.seen()
  await tabs[0]!.page.evaluate('relay.reconnect()') // which this worker dies of
  origin.save('thread:1', 'meanwhile')
  for (const tab of tabs) {
    const { errors } = await tab.live(connection)
    t.same(errors, [])
    t.same(await tab.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
  }
  t.equal(await scene.connections(), 1)
  await closeAll()
})

await t.test('a leader that hangs is robbed of the lead, and follows when it comes to itself', async t => {
  const [a, b] = (await twoTabs({ share: 'leader' })) as [Tab, Tab]
  const { connection } = await a.seen()
  const debug = await context.newCDPSession(a.page)
  await debug.send('Debugger.enable')
  void a.page.evaluate('debugger')
  await new Promise(resolve => debug.once('Debugger.paused', resolve))
  origin.save('thread:1', 'meanwhile')
  const next = await b.live(connection)
  t.same(await b.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
  await debug.send('Debugger.resume')
  t.equal((await a.live(connection)).connection, next.connection)
  t.same(await a.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
  await until(async () => (await scene.connections()) === 1, { what: 'the old connection to end' })
  const { connection: last, states } = await b.seen()
  t.same({ last, states }, { last: next.connection, states: next.states }, 'the other tab notices nothing of it')
  await closeAll()
})

await t.test('a tab hears the leader that answers while it is still asking', async t => {
  // As on a busy machine, where a tab may have to wait just after it has sent something.
  await context.addInitScript(`{
    const { prototype } = BroadcastChannel
    const { postMessage } = prototype
    prototype.postMessage = function (letter) {
      postMessage.call(this, letter)
      for (const end = performance.now() + 200; letter?.id && performance.now() < end; );
    }
  }`)
  const [a, b] = (await twoTabs({ share: 'leader' })) as [Tab, Tab]
  const { connection } = await a.seen()
  t.match(await b.seen(), { connection: connection!, errors: [] })
  t.equal(await scene.connections(), 1)
  await closeAll()
})
