/** The first example of docs/client.md, run as it stands but for its addresses. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { t } from 'tap'
import { WebSocket } from 'ws'
import { MessengerOrigin } from '../support/messenger-origin.ts'
import { Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openPage } from './page.ts'

await t.test('the first example of docs/client.md runs', async t => {
  const site = new Site('acme')
  const relay = await startRelay(t, site.entry())
  const origin = await MessengerOrigin.open(t, { site, relay: () => relay })
  const page = readFileSync(new URL('../../../docs/client.md', import.meta.url), 'utf8')
  const example = /```js\n(.*?)```/s
    .exec(page)![1]!
    .replace('wss://relay.example.com/v1/ws', relay.ws)
    .replace("'/realtime/token'", `'${origin.url}/token?thread=42'`)
    .replace("'/realtime/since'", `'${origin.url}/since'`)
  // As much of a browser as it uses.
  const said: string[] = []
  const document = {
    visibilityState: 'visible',
    addEventListener: () => {},
    removeEventListener: () => {},
    body: { append: (text: string) => said.push(text) },
    title: '',
  }
  Object.assign(globalThis, { document, WebSocket })
  const file = new URL('documented-example.js', import.meta.url)
  writeFileSync(file, `${example}\nexport { relay }`)
  t.teardown(() => rmSync(file))
  const other = openPage(t, origin, relay.ws, { user: '8', threads: ['42'] })
  await other.relay.ready
  const { relay: client } = (await import(file.href)) as { relay: typeof other.relay }
  t.teardown(() => client.close())
  await until(() => other.events.some(({ type }) => type === 'typing'), { what: 'what the example sends' })
  origin.save('thread:42', { text: 'hello' })
  await until(() => said.length === 1, { what: 'what the example shows' })
  t.same(said, ['hello'])
  t.equal(document.title, 'live')
})
