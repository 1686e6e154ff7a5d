import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { callbacks as command } from '../../src/commands/callbacks.ts'
import { CallbackOrigin, status } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { metric, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { misused, openFolder, type Outcome, refused } from './throughline.ts'

t.setTimeout(300_000)

const acme = new Site('acme')
const origin = await CallbackOrigin.start(t, status(503, { 'retry-after': '600' }))
const sites = {
  ...acme.entry({ callback: { url: origin.url, events: ['call.*'], data: true } }),
  ...new Site('mute').entry(),
}
const relay = await startRelay(t, sites, { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' })
const folder = await openFolder(t)
await writeFile(folder.file('sites.json'), JSON.stringify(sites))
const client = await Client.connect(t, relay, acme.user('7', { 42: ['send'] }))

const WAYS: Record<string, string[]> = { api: ['--api', relay.api], admin: ['--admin', relay.admin] }
const run = (way: string, ...args: string[]): Promise<Outcome> =>
  folder.run('callbacks', ...WAYS[way]!, '--site', 'acme', ...args)
const sendCall = (data: number): Promise<unknown> => client.ask('send', { thread: '42', type: 'call.n', data })
const numbers = (): unknown[] => origin.told.slice(told).flatMap(({ events }) => events.map(({ data }) => data))
let told = 0

await t.test('an empty queue, and one that could not be told', async t => {
  t.match(await run('api'), { code: 0, stderr: '', stdout: 'state         idle\nwaiting       0\n' })
  await sendCall(1)
  await until(async () => (await run('api', '--json')).stdout.includes('last_error'), { what: 'a failure' })
  for (const way of ['api', 'admin']) {
    const { code, stdout } = await run(way)
    t.equal(code, 0)
    t.match(
      stdout,
      /^state {9}waiting\nwaiting {7}1, the oldest for \d+ s\nnext attempt {2}20\S+Z\nlast error {4}the origin answered 503 \(20\S+Z\)\n$/,
      way,
    )
    t.match(JSON.parse((await run(way, '--json')).stdout), { state: 'waiting', depth: 1 })
  }
})

for (const way of ['api', 'admin']) {
  await t.test(`a site is paused, and nothing is sent until it is resumed, by the ${way} port`, async t => {
    t.match((await run(way, '--pause')).stdout, /^state {9}paused\n/)
    told = origin.told.length
    origin.answer = status(204)
    await sendCall(2)
    t.match(await run(way, '--retry', '--json'), { code: 0, stdout: '{}\n' })
    t.match(JSON.parse((await run(way, '--json')).stdout), { state: 'paused', depth: way === 'api' ? 2 : 1 })
    t.equal(origin.told.length, told)
    t.match(await run(way, '--resume'), { code: 0, stderr: '' })
    await until(() => numbers().includes(2), { what: 'what has waited' })
    t.same(numbers(), way === 'api' ? [1, 2] : [2])
  })

  await t.test(`what waits is dropped and counted, by the ${way} port`, async t => {
    await run(way, '--pause')
    const before = await metric(relay, 'callbacks_total{outcome="dropped"}')
    told = origin.told.length
    await sendCall(3)
    await sendCall(4)
    await until(async () => (await run(way)).stdout.includes('waiting       2'), { what: 'two to wait' })
    t.equal((await run(way, '--drop')).stdout, '2 dropped\nstate         paused\nwaiting       0\n')
    t.match(await run(way, '--drop', '--json'), { code: 0, stdout: '{"dropped":0}\n' })
    t.equal((await metric(relay, 'callbacks_total{outcome="dropped"}')) - before, 2)
    await sendCall(5)
    await run(way, '--resume')
    await until(() => numbers().length > 0, { what: 'the next' })
    t.same(numbers(), [5])
  })
}

await t.test('what cannot be done is said in one line', async t => {
  const { api, admin } = WAYS
  refused(t, await folder.run('callbacks', ...api!, '--site', 'other'), 1, 'has no site other')
  for (const way of [api!, admin!]) {
    refused(t, await folder.run('callbacks', ...way, '--site', 'mute'), 1, /not_found: .*the site has no callback/)
  }
  refused(t, await folder.run('callbacks', '--admin', relay.api, '--site', 'acme'), 1, /not_found/)
  refused(t, await folder.run('callbacks', '--api', relay.admin, '--site', 'acme'), 1, 'is --api right?')
  await misused(t, command, [], '--site ID is missing')
  await misused(t, command, ['--site', 'acme', '--pause', '--drop'], 'say one of --pause and --drop')
  await misused(t, command, ['--site', 'acme', '--admin', 'x'], '--admin "x" is not an http or https URL')
  await misused(t, command, ['--site', 'acme', '--admin', 'http://x', '--key', 'k'], '--admin needs neither --key')
})
