import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Client } from '../support/client.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openFolder, refused } from './throughline.ts'

const folder = await openFolder(t)
await folder.shell(`
  throughline site add acme --origin https://example.com
  throughline keys --out operator.json > operator-public.json
  throughline keys --alg ES256 --out guest.json > guest-public.json
  throughline licence --operator-key operator.json --site guest --key guest-public.json --origin https://example.com > guest.licence`)

const sites = JSON.parse(await readFile(folder.file('sites.json'), 'utf8')) as object
const relay = await startRelay(t, sites, { THROUGHLINE_OPERATOR_JWKS: folder.file('operator-public.json') })

await t.test('what publish sends arrives, byte for byte, at a user whose token the command made', async t => {
  const token = await folder.run('token', '--site', 'acme', '--user', '7', '--thread', '42=read')
  const client = await Client.connect(t, relay, token.stdout.trim())
  await client.subscribe('42')
  const data = '{ "n":12345678901234567890,  "a":1.0 }'
  const event = ['--site', 'acme', '--thread', '42', '--type', 'message', '--data', data, '--id', 'e1']
  const { code, stdout } = await folder.run('publish', '--api', relay.api, ...event)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { id: 'e1', stamps: { 'thread:42': Number } })
  await until(() => client.events().length > 0, { what: 'the event' })
  t.ok(client.raw.some(text => text.includes(`"data":${data}`)))
})

await t.test('a site with a licence publishes with its own key, and is refused without the licence', async t => {
  const event = [
    '--api',
    relay.api,
    '--site',
    'guest',
    '--key',
    'guest.json',
    '--to-site',
    '--type',
    'message',
    '--data',
    '1',
  ]
  const { code, stdout } = await folder.run('publish', ...event, '--licence', 'guest.licence')
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { stamps: { site: Number } })
  refused(
    t,
    await folder.run('publish', ...event),
    1,
    'throughline publish: unknown_site: the relay knows no such site',
  )
})
