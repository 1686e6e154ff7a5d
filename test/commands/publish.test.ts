import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { publish as command } from '../../src/commands/publish.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openTrust } from '../../src/trust/trust.ts'
import { misused, openFolder, type Outcome, refused } from './throughline.ts'

// What the command sends, and what it makes of any answer, can be seen only from the other end of the wire.
interface Call {
  readonly line: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
const calls: Call[] = []
let answer = { status: 200, type: 'application/json', body: '{"id":"x","stamps":{}}' }
const server = createServer((request, response) => void respond(request, response))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => server.close())
const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  calls.push({ line: `${request.method} ${request.url}`, headers: request.headers, body: await buffer(request) })
  response.writeHead(answer.status, { 'Content-Type': answer.type }).end(answer.body)
}

const folder = await openFolder(t)
await folder.shell('throughline site add acme --origin https://example.com; echo ey.ey.ey > acme.licence')
const trust = await openTrust({
  sites: folder.file('sites.json'),
  clock: systemClock,
  warn: message => t.fail(message),
})
t.teardown(() => trust.close())

const COMMON = ['--api', api, '--site', 'acme', '--type', 'message']

function publish(...args: string[]): Promise<Outcome> {
  return folder.run('publish', ...COMMON, ...args)
}

async function bodyOf(...args: string[]): Promise<string> {
  calls.length = 0
  const { code, stderr } = await publish(...args)
  if (code !== 0) throw new Error(stderr)
  return String(calls[0]?.body)
}

await t.test('calls /v1/publish with a token that a node takes, and prints the answer', async t => {
  t.match(await publish('--thread', '42', '--data', '{}'), { code: 0, stdout: '{"id":"x","stamps":{}}\n', stderr: '' })
  const { line, headers } = calls[0] as Call
  t.equal(line, 'POST /v1/publish')
  t.equal(headers['content-type'], 'application/json')
  t.equal(headers['throughline-licence'], undefined)
  const { site, scopes } = await trust.verifyServer(String(headers.authorization).replace('Bearer ', ''))
  t.strictSame([site.id as string, ...(scopes ?? [])], ['acme', 'publish'])
})

await t.test('sends to a thread, to users or to the site', async t => {
  t.equal(await bodyOf('--thread', '42', '--data', '1'), '{"to":{"thread":"42"},"type":"message","data":1}')
  t.equal(
    await bodyOf('--user', '7', '--user', '8', '--data', '1'),
    '{"to":{"users":["7","8"]},"type":"message","data":1}',
  )
  t.equal(await bodyOf('--to-site', '--data', '1'), '{"to":{"site":true},"type":"message","data":1}')
})

await t.test('sends id, ephemeral and except', async t => {
  const body = await bodyOf('--to-site', '--data', '1', '--id', 'e1', '--ephemeral', '--except', 'c1')
  t.strictSame(JSON.parse(body), {
    to: { site: true },
    type: 'message',
    id: 'e1',
    ephemeral: true,
    except: 'c1',
    data: 1,
  })
})

await t.test('sends data byte for byte, from the command line and from stdin', async t => {
  const data = '{ "z":12345678901234567890, "a":1.0,"a":"\\ud800 é😀" }'
  t.ok((await bodyOf('--to-site', '--data', data)).endsWith(`"data":${data}}`))
  calls.length = 0
  t.equal((await folder.pipe(`${data}\n`, 'publish', ...COMMON, '--to-site', '--data', '-')).code, 0)
  t.ok(calls[0]?.body.equals(Buffer.from(`{"to":{"site":true},"type":"message","data":${data}\n}`)))
})

await t.test('sends the licence of a file', async t => {
  await publish('--to-site', '--data', '1', '--licence', 'acme.licence')
  t.equal(calls.at(-1)?.headers['throughline-licence'], 'ey.ey.ey')
})

await t.test('a problem becomes one line with its code', async t => {
  answer = {
    status: 403,
    type: 'application/problem+json; charset=utf-8',
    body: '{"title":"Forbidden","code":"scope_missing","detail":"the scope\\nis wrong"}',
  }
  refused(t, await publish('--to-site', '--data', '1'), 1, 'throughline publish: scope_missing: the scope is wrong')
})

await t.test('an answer that no relay gives is not taken for one', async t => {
  answer = { status: 502, type: 'text/html', body: '<h1>Bad gateway</h1>' }
  refused(
    t,
    await publish('--to-site', '--data', '1'),
    1,
    `${api}/v1/publish answered 502, and not as a relay; is --api right?`,
  )
})

await t.test('a relay that is not there is told in one line', async t => {
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  await once(gone.close(), 'close')
  const outcome = await publish('--api', `http://127.0.0.1:${port}/`, '--to-site', '--data', '1')
  refused(t, outcome, 1, `cannot reach http://127.0.0.1:${port}/v1/publish (ECONNREFUSED); is a node running there?`)
})

await t.test('a wrong command line is refused before anything is sent', async t => {
  calls.length = 0
  const data = ['--data', '1']
  const cases: [string[], string][] = [
    [data, 'say one of --thread ID, --user ID and --to-site'],
    [[...data, '--thread', '1', '--user', '2'], 'say one of --thread ID, --user ID and --to-site'],
    [['--to-site'], '--data JSON is missing'],
    [['--to-site', '--data', 'hello'], '--data is not JSON in UTF-8'],
    [['--to-site', '--data', '1},"x":{'], '--data is not JSON in UTF-8'],
    [[...data, '--to-site', '--type', 'a b'], '--type "a b" is not a type'],
    [[...data, '--to-site', '--id', ''], '--id "" is not an event id'],
    [[...data, '--thread', '.'], '--thread "." is not a thread id'],
    [[...data, '--to-site', '--api', 'localhost:8081'], '--api "localhost:8081" is not an http or https URL'],
  ]
  for (const [args, words] of cases) await misused(t, command, [...COMMON, ...args], words)
  refused(t, await publish('--to-site', '--data', '-1'), 64, "use '--data=-XYZ'")
  const notUtf8 = await folder.pipe(Buffer.from([0x22, 0xff, 0x22]), 'publish', ...COMMON, '--to-site', '--data', '-')
  refused(t, notUtf8, 64, '--data is not JSON in UTF-8')
  t.strictSame(calls, [])
})
