/** The tabs of one browser, a real Chromium, share one connection: by a SharedWorker, or by one of them that leads. */
import { t } from 'tap'
import { openScene, type Tab } from '../../support/tabs.ts'
import { until } from '../../support/until.ts'

t.setTimeout(300_000)

const scene = await openScene(t)
const { origin, context } = scene
let users = 100

/** Each test has a user of its own, so that it shares with no other. */
async function twoTabs(share: 'worker' | 'leader'): Promise<[Tab, Tab]> {
  const user = String(++users)
  const first = await scene.open({ share, user })
  await first.live()
  const second = await scene.open({ share, user })
  await second.live()
  return [first, second]
}

async function closeAll(): Promise<void> {
  for (const page of context.pages()) await page.close()
  await until(async () => (await scene.connections()) === 0, { what: 'a relay without connections' })
}

for (const share of ['worker', 'leader'] as const) {
  await t.test(`${share}: two tabs have one connection, and both are given each event once and in order`, async t => {
    const tabs = await twoTabs(share)
    t.equal(await scene.connections(), 1)
    const [a, b] = await Promise.all(tabs.map(tab => tab.seen()))
    t.equal(a!.connection, b!.connection)
    for (let n = 0; n < 50; n++) origin.save('thread:1', n)
    const all = origin.ids('thread:1')
    for (const tab of tabs) t.same(await tab.ids(all.length), all)
    for (const tab of tabs) t.same((await tab.seen()).errors, [])
    t.equal((await scene.workers()).length, share === 'worker' ? 1 : 0)
    await closeAll()
  })

  await t.test(
    `${share}: what one tab sends, the other is given as from another of the user's connections`,
    async t => {
      const [a, b] = await twoTabs(share)
      await a.page.evaluate(`thread.send('typing', { with: [1, 'two', null] })`)
      const event = await until(async () => (await b.seen()).events.find(({ type }) => type === 'typing'), {
        what: 'the event',
      })
      t.match(event, { data: { with: [1, 'two', null] }, sender: { connection: (await a.seen()).connection! } })
      t.notOk(
        (await a.seen()).events.some(({ type }) => type === 'typing'),
        'not the sender',
      )
      await closeAll()
    },
  )

  await t.test(
    `${share}: an event that leaves out their connection is asked for by those who may not have it`,
    async t => {
      const [a, b] = await twoTabs(share)
      const { connection } = await a.seen()
      const { id } = origin.save('thread:1', 'mine', { except: connection! })
      await a.page.evaluate(id => (globalThis as any).relay.saw(id), id)
      const all = origin.ids('thread:1')
      t.same(await b.ids(all.length), all)
      await closeAll()
    },
  )

  await t.test(`${share}: a tab that is closed leaves the other whole`, async t => {
    const [a, b] = await twoTabs(share)
    for (let n = 0; n < 20; n++) origin.save('thread:1', n)
    const closed = a.page.close()
    for (let n = 0; n < 20; n++) origin.save('thread:1', n)
    await closed
    for (let n = 0; n < 20; n++) origin.save('thread:1', n)
    const all = origin.ids('thread:1')
    t.same(await b.ids(all.length), all)
    await b.live()
    t.equal(await scene.connections(), 1)
    await closeAll()
  })

  await t.test(`${share}: a tab that crashes leaves the other whole`, async t => {
    const [a, b] = await twoTabs(share)
    const { connection } = await b.seen()
    const cdp = await context.newCDPSession(a.page)
    cdp.send('Page.crash').catch(() => {}) // never answered
    if (share === 'leader') await b.live(connection)
    origin.save('thread:1', 'after')
    const all = origin.ids('thread:1')
    t.same(await b.ids(all.length), all)
    await a.page.close()
    await closeAll()
  })

  await t.test(
    `${share}: when the relay is killed they poll, and are live again with the next, nothing lost or twice`,
    async t => {
      const tabs = await twoTabs(share)
      scene.relay().kill('SIGKILL')
      await scene.relay().exit
      for (let n = 0; n < 5; n++) origin.save('thread:1', `down ${n}`)
      const all = origin.ids('thread:1')
      for (const tab of tabs) t.same(await tab.ids(all.length), all, 'polled')
      for (const tab of tabs)
        await until(async () => (await tab.seen()).state === 'polling', { what: 'a tab that polls' })
      await scene.restart()
      for (const tab of tabs) await tab.live()
      await until(() => origin.waiting === 0, { what: 'all published' })
      origin.save('thread:1', 'up')
      all.push(origin.ids('thread:1').at(-1)!)
      for (const tab of tabs) t.same(await tab.ids(all.length), all)
      t.equal(await scene.connections(), 1)
      await closeAll()
    },
  )

  await t.test(`${share}: a page in the back-forward cache has left, and is whole when it comes back`, async t => {
    const [a, b] = await twoTabs(share)
    const { connection } = await a.seen()
    await a.page.evaluate(`addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted })`)
    await a.page.goto(`${origin.url}/elsewhere`)
    origin.save('thread:1', 'meanwhile')
    const all = origin.ids('thread:1')
    t.same(await b.ids(all.length), all)
    await b.live(share === 'leader' ? connection : undefined)
    await a.page.goBack({ waitUntil: 'commit' })
    await until(() => a.page.evaluate('window.persisted').catch(() => false), { what: 'the page as it was' })
    t.same(await a.ids(all.length), all)
    await a.live()
    t.equal(await scene.connections(), 1)
    await closeAll()
  })

  await t.test(`${share}: a frozen page has left, and is whole when it thaws`, async t => {
    const [a, b] = await twoTabs(share)
    const cdp = await context.newCDPSession(a.page)
    await b.page.bringToFront()
    await until(() => a.page.evaluate('document.hidden'), { what: 'a hidden page' })
    await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
    for (let n = 0; n < 5; n++) origin.save('thread:1', `frozen ${n}`)
    const all = origin.ids('thread:1')
    t.same(await b.ids(all.length), all)
    await b.live()
    t.equal(await scene.connections(), 1)
    t.not((await a.seen()).events.at(-1)?.id, all.at(-1))
    await cdp.send('Page.setWebLifecycleState', { state: 'active' })
    t.same(await a.ids(all.length), all)
    await a.live()
    t.equal(await scene.connections(), 1)
    await closeAll()
  })

  await t.test(`${share}: a token is refreshed for all by one of them`, async t => {
    origin.claims = { exp: Math.floor(Date.now() / 1000) + 4 }
    const tabs = await twoTabs(share)
    const { connection } = await tabs[0].seen()
    const before = origin.tokens
    origin.claims = {}
    await until(() => origin.tokens > before, { what: 'a new token' })
    await tabs[1].page.evaluate('relay.refresh()')
    t.equal(origin.tokens, before + 2)
    for (const tab of tabs) t.match(await tab.live(), { connection, errors: [] })
    await closeAll()
  })

  await t.test(`${share}: when all have closed, no worker, lock or connection is left`, async t => {
    const [a, b] = await twoTabs(share)
    await a.page.evaluate('relay.close()')
    await b.live()
    await b.page.evaluate('relay.close()')
    await until(async () => (await scene.connections()) === 0, { what: 'a relay without connections' })
    await until(async () => (await scene.workers()).length === 0, { what: 'no worker' })
    t.same(await a.page.evaluate('navigator.locks.query()'), { held: [], pending: [] })
    await closeAll()
  })
}

for (const share of ['worker', 'leader'] as const) {
  await t.test(`${share}: pages of different users share nothing`, async t => {
    const tabs = [await scene.open({ share, user: '1' }), await scene.open({ share, user: '2' })]
    const [a, b] = await Promise.all(tabs.map(tab => tab.live()))
    t.not(a!.connection, b!.connection)
    await closeAll()
  })

  await t.test(
    `${share}: pages of a user who has signed out end when a token of the next one comes, and see nothing of that user`,
    async t => {
      const [a, b] = await twoTabs(share)
      for (const tab of [a, b]) await tab.page.evaluate(`window.signedIn = 'next'`)
      const next = await scene.open({ share, user: 'next' })
      const { connection } = await next.live()
      origin.save('user:next', 'secret')
      const before = origin.tokens
      // The first answer may be the token that the page came with.
      await until(
        async () => {
          a.page.evaluate('relay.refresh()').catch(() => {})
          return origin.tokens > before
        },
        { what: 'a question for a token' },
      )
      for (const tab of [a, b]) {
        await until(async () => (await tab.seen()).closed.length > 0, { what: 'the end of a page' })
        const { closed, events } = await tab.seen()
        // The second when the leader had ended first, and it was connecting anew (docs/client.md).
        t.match(closed.join(), /^(token_user|user_changed)$/)
        t.notOk(events.some(({ data }) => data === 'secret'))
      }
      t.match(await next.live(), { connection, closed: [] })
      await until(async () => (await scene.connections()) === 1, { what: 'one connection' })
      await closeAll()
    },
  )
}
