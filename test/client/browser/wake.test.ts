/** A page in a real Chromium whose back-off is long connects at once when the network is back or somebody looks at it. */
import { t } from 'tap'
import { openScene, type Tab } from '../../support/tabs.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

t.setTimeout(300_000)

// Each wait is as long as it can be.
const UNLUCKY = 'Math.random = () => 0.999;'
/** After so many failures, tried at once by `online`, the next attempt is 20 s away or more. */
const FAILURES = 9

const scene = await openScene(t, script => ({ '/unlucky.js': UNLUCKY + script }))
const { origin, context } = scene

for (const share of ['worker', 'none'] as const) {
  await t.test(`${share}: a long wait ends when the browser is online, and when the page becomes visible`, async t => {
    const proxy = await TcpProxy.open(t, { host: '127.0.0.1', port: Number(new URL(scene.relay().ws).port) })
    const url = `ws://127.0.0.1:${proxy.port}/v1/ws`
    const tab = await scene.open({ share, user: share, url, workerUrl: '/unlucky.js', pollSeconds: 60 })
    await tab.live()
    if (share === 'none') await tab.page.evaluate(UNLUCKY)
    const cdp = await context.newCDPSession(tab.page)
    const conditions = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
    const online = async (): Promise<void> => {
      await cdp.send('Network.emulateNetworkConditions', { offline: true, ...conditions })
      await cdp.send('Network.emulateNetworkConditions', { offline: false, ...conditions })
    }
    const lose = async ({ page }: Tab): Promise<void> => {
      proxy.part()
      await tab.turns('lost')
      for (let failure = 0; failure < FAILURES; failure++) {
        const { asked } = proxy
        // One that comes while an attempt is under way asks for nothing.
        await until(
          async () => {
            await page.evaluate(`dispatchEvent(new Event('online'))`)
            return proxy.asked > asked
          },
          { what: 'an attempt' },
        )
      }
      proxy.mend()
      t.not((await tab.seen()).state, 'live')
    }
    // `until` has less patience than the wait that is cut short.
    const isBack = async (): Promise<void> => {
      await until(async () => (await tab.seen()).state === 'live', { what: 'a tab that is live at once' })
      origin.save('thread:1', 'again')
      t.same(await tab.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
    }

    await lose(tab)
    await online()
    await isBack()

    const other = await context.newPage()
    await other.bringToFront()
    await until(() => tab.page.evaluate('document.hidden'), { what: 'a hidden page' })
    await lose(tab)
    await tab.page.bringToFront()
    await isBack()
    for (const page of context.pages()) await page.close()
  })
}
