import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { openFolder, type Outcome, refused } from '../commands/throughline.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { good, SECRET, startOrigin, ZOO } from '../support/zoo.ts'

const PAGE = readFileSync(new URL('../../../docs/http-api.md', import.meta.url), 'utf8')
const LOCAL = { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' }
const acme = new Site('acme')
const blocked = new Site('blocked')
const quiet = new Site('quiet')
const slow = new Site('slow')

let release: (() => void)[] = []
const urls = {
  acme: await startOrigin(t, good),
  blocked: await startOrigin(t, ZOO['a Wordfence block page']!.answer),
  slow: await startOrigin(t, (request, response, body) => void release.push(() => good(request, response, body))),
}
const callback = (url: string): object => ({
  callback: { url: url.replace('127-0-0-1.example', '127.0.0.1'), events: [], secret: SECRET },
})
const sites = {
  ...acme.entry(callback(urls.acme)),
  ...blocked.entry(callback(urls.blocked)),
  ...slow.entry(callback(urls.slow)),
  ...quiet.entry(),
}
const relay = await startRelay(t, sites, LOCAL)
const test = (site: Site, body: unknown = '', claims: object = {}): ReturnType<typeof call> =>
  call(relay, site.server(claims), '/v1/callbacks/test', body)

await t.test('a site whose callback works is told so', async t => {
  const { status, body } = await test(acme)
  t.equal(status, 200)
  t.equal(body.ok, true, JSON.stringify(body))
  t.notOk('culprit' in body)
  t.equal((await test(acme, {})).body.ok, true)
})

await t.test('a site behind a firewall is told which, in the form that the documentation shows', async t => {
  const { status, body } = await test(blocked)
  t.equal(status, 200)
  t.equal(body.culprit.name, 'firewall_plugin')
  const [, json = ''] = /## POST \/v1\/callbacks\/test[^]*?```json\n([^]*?)```/.exec(PAGE) ?? []
  const example = JSON.parse(json)
  t.strictSame(Object.keys(body), Object.keys(example))
  t.strictSame(Object.keys(body.steps[0]), Object.keys(example.steps[0]))
  t.strictSame(Object.keys(body.culprit), Object.keys(example.culprit))
  t.strictSame(body.allow, example.allow)
})

await t.test(
  'a site without a callback, a token without the scope and a body that says something are refused',
  async t => {
    const without = await test(quiet)
    t.match(without, { status: 404, body: { code: 'not_found', detail: /set callback\.url/ } })
    t.match(await test(acme, '', { scope: 'publish' }), {
      status: 403,
      body: { code: 'scope_missing', detail: /manage/ },
    })
    t.match(await test(acme, { url: 'http://127.0.0.1/' }), { status: 422, body: { code: 'bad_field' } })
  },
)

await t.test('a site has one test at a time, and another site is not held up by it', async t => {
  const first = test(slow)
  await until(() => release.length > 0, { what: 'the ping' })
  const second = await test(slow)
  t.match(second, { status: 429, body: { code: 'rate_limited' } })
  t.equal(second.headers.get('retry-after'), '5')
  t.equal((await test(acme)).status, 200)
  const ends = setInterval(() => {
    for (const answer of release) answer()
    release = []
  }, 10)
  t.equal((await first).body.ok, true)
  clearInterval(ends)
})

await t.test('the command tells it in lines, and by its exit code', async t => {
  const folder = await openFolder(t)
  writeFileSync(folder.file('sites.json'), JSON.stringify(sites))
  const run = (...args: string[]): Promise<Outcome> => folder.run('callback', 'test', '--api', relay.api, ...args)
  const fine = await run('--site', 'acme')
  t.match(fine, {
    code: 0,
    stderr: '',
    stdout: /^ {2}ok {5}challenge the challenge came back .*\n[^]*\nCallbacks arrive\.\n$/m,
  })
  const bad = await run('--site', 'blocked')
  t.match(bad, { code: 1, stderr: '', stdout: /^ {2}FAILED challenge .*Wordfence[^]*\nWhat to do: Allow the path/m })
  t.equal(JSON.parse((await run('--site', 'blocked', '--json')).stdout).culprit.name, 'firewall_plugin')
  refused(t, await run('--site', 'quiet'), 1, /not_found: .*set callback\.url/)
  refused(t, await folder.run('callback', '--site', 'acme'), 64, 'say what to do: callback test')
})

await t.test('without THROUGHLINE_CALLBACK_ALLOW nothing is sent to this machine', async t => {
  const strict = await startRelay(t, sites)
  const { body } = await call(strict, acme.server(), '/v1/callbacks/test', '')
  t.equal(body.culprit.name, 'address_refused')
  t.match(body.culprit.says, /127\.0\.0\.1 is not on the public internet \(loopback\)/)
})

await t.test('a node that shuts down does not wait for a slow site', async t => {
  const ending = await startRelay(t, sites, { ...LOCAL, THROUGHLINE_DRAIN_SECONDS: '0' })
  const running = call(ending, slow.server(), '/v1/callbacks/test', '')
  await until(() => release.length > 0, { what: 'the ping' })
  ending.kill('SIGTERM')
  t.match(await running, { status: 503, body: { code: 'draining' } })
  t.equal(await ending.exit, 0)
})
