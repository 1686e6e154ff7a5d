/** A page that follows threads over a real relay: what it is given, and what it is not asked for. */
import { t } from 'tap'
import { MessengerOrigin } from '../support/messenger-origin.ts'
import { Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openPage } from './page.ts'

const site = new Site('acme')
const relay = await startRelay(t, site.entry())
const origin = await MessengerOrigin.open(t, { site, relay: () => relay })

await t.test('a page loads what there is, is live, and then is given each event as it is published', async t => {
  origin.save('thread:1', 'before')
  await until(() => origin.waiting === 0, { what: 'a published event' })
  const page = openPage(t, origin, relay.ws, { threads: ['1'] })
  await page.relay.ready
  t.same(page.ids('thread:1'), origin.ids('thread:1'))
  t.same(
    origin.questions.map(({ chains }) => Object.keys(chains).toSorted()),
    [['site', 'thread:1', 'user']],
    'one question for all chains',
  )
  origin.save('thread:1', { text: 'live' })
  await until(() => page.ids('thread:1').length === 2, { what: 'a live event' })
  t.match(page.events.at(-1), { type: 'message', thread: '1', data: { text: 'live' }, chain: 'thread:1', from: 'live' })
  t.same(page.states, ['catching-up', 'live'])
  t.equal(origin.questions.length, 1, 'nothing was asked again')
  t.same(page.errors, [])
})
