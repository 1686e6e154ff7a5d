import t from 'tap'
import { CallbackOrigin } from '../support/callback-origin.ts'
import { Site, startRelay } from '../support/relay.ts'

const acme = new Site('acme')
const origin = await CallbackOrigin.start(t)
const sites = acme.entry({ callback: { url: origin.url, events: ['call.*'] } })
const { admin } = await startRelay(t, sites, { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' })
const JSON_TYPE = { 'content-type': 'application/json' }

async function ask(path: string, request: RequestInit = {}): Promise<{ status: number; body: any }> {
  const answer = await fetch(admin + path, request)
  return { status: answer.status, body: await answer.json() }
}

const post = (body: string, headers: Record<string, string> = JSON_TYPE, deed = 'drop') =>
  ask(`/callbacks/${deed}`, { method: 'POST', headers, body })

await t.test("the operator sees and steers any site's queue", async t => {
  const idle = { status: 200, body: { state: 'idle', depth: 0 } }
  t.strictSame(await ask('/callbacks?site=acme'), idle)
  t.strictSame(await post('{"site":"acme"}', JSON_TYPE, 'pause'), { status: 200, body: {} })
  t.strictSame(await ask('/callbacks?site=acme'), { status: 200, body: { state: 'paused', depth: 0 } })
  t.strictSame(await post('{"site":"acme"}'), { status: 200, body: { dropped: 0 } })
  t.strictSame(await post('{"site":"acme"}', JSON_TYPE, 'resume'), { status: 200, body: {} })
  t.strictSame(await post('{"site":"acme"}', JSON_TYPE, 'retry'), { status: 200, body: {} })
  t.strictSame(await ask('/callbacks?site=acme'), idle)
  t.match(await ask('/callbacks?site=globex'), { status: 404, body: { code: 'not_found', detail: /has no callback/ } })
})

await t.test('what does not name a site alone is refused', async t => {
  const wrong = { status: 422, body: { code: 'bad_field', detail: /say the site by its id, and nothing else/ } }
  for (const query of ['', '?', '?site=', '?site=A%20B', '?site=acme&site=acme', '?site=acme&x=1', '?__proto__=acme']) {
    t.match(await ask(`/callbacks${query}`), wrong, query)
  }
  for (const body of ['{}', '{"site":7}', '{"site":["acme"]}', '{"site":"acme","all":true}', '{"site":"../acme"}']) {
    t.match(await post(body), wrong, body)
  }
  for (const body of ['', '{', '[]', '"acme"', '{"site":"acme","site":"acme"}']) {
    const { status, body: problem } = await post(body)
    t.ok(status === 400 || status === 415 || status === 422, `${body}: ${status}`)
    t.type(problem.code, 'string')
  }
  t.match(await post(`{"site":"${'a'.repeat(2000)}"}`), { status: 413, body: { code: 'too_large' } })
  t.equal((await ask('/callbacks/test', { method: 'POST', headers: JSON_TYPE, body: '{}' })).status, 404)
  t.equal((await ask('/callbacks/drop?site=acme')).status, 404, 'nothing is done by a GET')
})

await t.test("a page in the operator's browser can do nothing here", async t => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    t.match(await post('{"site":"acme"}', { 'content-type': type }), {
      status: 415,
      body: { code: 'unsupported_media_type' },
    })
  }
  t.equal((await ask('/callbacks/drop', { method: 'POST' })).status, 415)
  t.match(await post('{"site":"acme"}', { ...JSON_TYPE, origin: 'http://localhost:9090' }), {
    status: 403,
    body: { code: 'origin_not_allowed', detail: /no page may call this port/ },
  })
})
