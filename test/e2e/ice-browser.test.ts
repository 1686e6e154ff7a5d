import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { openChromium } from '../support/chromium.ts'
import { startCoturn } from '../support/coturn.ts'
import { Site, startRelay } from '../support/relay.ts'

t.setTimeout(300_000)

const SECRET = 'only-these-tests-know-it'
const coturn = await startCoturn(
  t,
  `realm=turn.example.com\nuse-auth-secret\nstatic-auth-secret=${SECRET}\nallow-loopback-peers`,
)

/** What the page does: two peers in one page, each with servers of its own user's, who may only use relays. */
const PAGE = `<!doctype html><title>call</title><script>
async function connection(url, token) {
  const answer = await fetch(url, { headers: { authorization: 'Bearer ' + token } })
  return new RTCPeerConnection({ ...(await answer.json()), iceTransportPolicy: 'relay' })
}

async function call(url, [first, second]) {
  const [caller, callee] = [await connection(url, first), await connection(url, second)]
  const kinds = new Set()
  for (const [from, to] of [[caller, callee], [callee, caller]]) {
    from.onicecandidate = ({ candidate }) => {
      if (candidate === null) return
      kinds.add(candidate.type)
      to.addIceCandidate(candidate)
    }
  }
  const channel = caller.createDataChannel('call')
  channel.onopen = () => channel.send('hello')
  const heard = new Promise(resolve => {
    callee.ondatachannel = event => { event.channel.onmessage = ({ data }) => resolve(data) }
    setTimeout(resolve, 20000, 'nothing')
  })
  await caller.setLocalDescription()
  await callee.setRemoteDescription(caller.localDescription)
  await callee.setLocalDescription()
  await caller.setRemoteDescription(callee.localDescription)
  const said = await heard
  caller.close()
  callee.close()
  return { said, kinds: [...kinds] }
}
</script>`

/** Serves the page on an origin of its own, and returns the origin. */
async function openOrigin(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(PAGE)
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const [ours, elsewhere] = [await openOrigin(), await openOrigin()]
const acme = new Site('acme')
const relay = await startRelay(t, acme.entry({ origins: [ours] }), {
  THROUGHLINE_ICE: JSON.stringify({ urls: [`turn:127.0.0.1:${coturn.port}?transport=udp`], secret: SECRET }),
})
const url = relay.ws.replace('ws:', 'http:').replace('/v1/ws', '/v1/ice')
// Where there is no network but loopback, Chromium has nothing else to call from.
const browser = await openChromium('--allow-loopback-in-peer-connection')
t.teardown(() => browser.close())

await t.test('two people call each other through coturn alone, with what their pages got from the relay', async t => {
  const page = await browser.newPage()
  await page.goto(ours)
  const tokens = JSON.stringify([acme.user('7'), acme.user('8')])
  const heard = await page.evaluate(`call('${url}', ${tokens})`)
  t.strictSame(heard, { said: 'hello', kinds: ['relay'] }, coturn.log.slice(-20).join('\n'))
})

await t.test('a page elsewhere cannot read what a token gets', async t => {
  const page = await browser.newPage()
  await page.goto(elsewhere)
  const asked = page.evaluate(`connection('${url}', '${acme.user('7')}')`)
  await t.rejects(asked, /TypeError: Failed to fetch/)
})
