/** What is left in a page of a real Chromium, and in the worker that pages share, after `close`. */
import { t } from 'tap'
import { COUNTING, type Leftovers, leftoversOf, leftoversOfWorker } from '../../support/leftovers.ts'
import { openScene, type Tab } from '../../support/tabs.ts'
import { until } from '../../support/until.ts'
import { freePort } from '../../support/ports.ts'
import { FakeRelay } from '../fake-relay.ts'

t.setTimeout(300_000)

const SHARES = ['worker', 'leader', 'none'] as const
const NOTHING: Leftovers = { listeners: [], timers: 0, open: [] }

const scene = await openScene(t, script => ({ '/counting.js': COUNTING + script }))
const { context } = scene
await context.addInitScript(COUNTING)
let users = 400

type Options = Parameters<typeof scene.open>[0]

const open = (options: Options): Promise<Tab> => scene.open({ workerUrl: '/counting.js', pollSeconds: 0.1, ...options })
const close = ({ page }: Tab): Promise<unknown> => page.evaluate('relay.close()')

/**
 * Waits until a page holds no more than this: what it asked of the browser last may have to be answered first. Fewer
 * timers are as good: one of a question may have been counted.
 */
async function holds(tab: Tab, wanted: Leftovers, of = leftoversOf): Promise<void> {
  let left = await of(tab.page)
  const isAll = async (): Promise<boolean> => {
    left = await of(tab.page)
    return left.timers <= wanted.timers && JSON.stringify({ ...left, timers: wanted.timers }) === JSON.stringify(wanted)
  }
  await until(isAll, { what: () => `${JSON.stringify(wanted)}; it was ${JSON.stringify(left)}` })
}

async function nothingIsLeft(tab: Tab): Promise<void> {
  await holds(tab, NOTHING)
  await until(async () => (await scene.workers()).length === 0, { what: 'no worker' })
  // A lock that was granted while it was given back is held for a moment.
  let locks = ''
  const areFree = async (): Promise<boolean> => {
    locks = await tab.page.evaluate(
      'navigator.locks.query().then(({ held, pending }) => JSON.stringify([...held, ...pending]))',
    )
    return locks === '[]'
  }
  await until(areFree, { what: () => `no locks; there are ${locks}` })
  await until(async () => (await scene.connections()) === 0, { what: 'no connection' })
}

for (const share of SHARES) {
  await t.test(`${share}: no listener, timer, socket, channel, lock or worker is left after close`, async t => {
    const user = String(++users)
    const fake = await FakeRelay.open(t)
    fake.onframe = () => true
    const url = `ws://127.0.0.1:${await freePort()}`
    const whiles: Record<string, [Options, (tab: Tab) => Promise<unknown>]> = {
      'it is live': [{ share, user }, tab => tab.live()],
      'it polls, with no relay there': [
        { share, user, url },
        tab => until(async () => (await tab.seen()).state === 'polling', { what: 'a page that polls' }),
      ],
      'the relay does not answer': [
        { share, user, url: fake.url },
        () => until(() => fake.sockets === 1, { what: 'a socket' }),
      ],
      'it has just begun': [{ share, user }, async () => {}],
    }
    for (const [name, [options, ready]] of Object.entries(whiles)) {
      const tab = await open(options)
      await ready(tab)
      const before = await leftoversOf(tab.page)
      t.ok(before.listeners.length > 0, `while ${name} there is something to be left`)
      await close(tab)
      await nothingIsLeft(tab)
      await until(() => fake.sockets === 0, { what: 'no socket' })
      await tab.page.close()
    }
  })
}

for (const share of ['worker', 'leader'] as const) {
  await t.test(`${share}: nor is anything of a tab left with those that stay`, async t => {
    const options = { share, user: String(++users) }
    const stays = await open(options)
    await stays.live()
    const of = share === 'worker' ? leftoversOfWorker : leftoversOf
    const goes = await open(options)
    await goes.live()
    const withTwo = await of(stays.page)
    await close(goes)
    await holds(goes, NOTHING)
    t.ok(withTwo.listeners.length > 0)
    // Timers of questions that were under way end with their answers.
    await until(async () => (await of(stays.page)).timers <= withTwo.timers, { what: 'no more timers' })
    const withOne = await of(stays.page)
    for (let n = 0; n < 5; n++) {
      const tab = await open(options)
      await tab.live()
      await close(tab)
      await holds(tab, NOTHING)
      await tab.page.close()
    }
    await holds(stays, withOne, of)
    await close(stays)
    await nothingIsLeft(stays)
    for (const page of context.pages()) await page.close()
  })
}
