import t from 'tap'
import { Client } from '../support/client.ts'
import { call, serve, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const FREE = { THROUGHLINE_API_LISTEN: '127.0.0.1:0', THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0' }

await t.test(
  'SIGTERM: clients are asked to leave, the rest is closed, and the process ends with 0',
  { timeout: 300_000 },
  async t => {
    const relay = await startRelay(t, acme.entry(), { THROUGHLINE_DRAIN_SECONDS: '3' })
    const polite = await Client.connect(t, relay, acme.user('1'))
    const stubborn = await Client.connect(t, relay, acme.user('2'))
    const silent = await Client.open(t, relay)
    relay.kill('SIGTERM')
    const drain = await polite.expect(frame => frame.op === 'drain', 'drain')
    t.ok(drain['within'] > 0 && drain['within'] <= 3000)
    t.same(await silent.expectClose(), { code: 4503, reason: 'draining' })
    t.equal((await fetch(`${relay.admin}/readyz`)).status, 503)
    await t.rejects(fetch(relay.ws.replace('ws:', 'http:')), 'nobody is let in any more')
    t.equal((await call(relay, acme.server(), '/v1/publish', { to: { users: ['2'] }, type: 'm', data: 1 })).status, 200)
    await until(() => stubborn.events().length === 1, { what: 'an event while draining' })
    polite.socket.close()
    t.same(await stubborn.expectClose(), { code: 4503, reason: 'draining' })
    t.equal(await relay.exit, 0)
  },
)

await t.test('SIGTERM: a node without clients ends at once', async t => {
  const relay = await startRelay(t, acme.entry())
  relay.kill('SIGTERM')
  t.equal(await relay.exit, 0)
})

await t.test('a second SIGTERM ends it at once', async t => {
  const relay = await startRelay(t, acme.entry())
  const client = await Client.connect(t, relay, acme.user('1'))
  relay.kill('SIGTERM')
  await client.expect(frame => frame.op === 'drain', 'drain')
  relay.kill('SIGTERM')
  t.equal(await relay.exit, 1)
})

await t.test('a start that cannot be is one line and an exit code', async t => {
  const relay = await startRelay(t, acme.entry())
  const taken = new URL(relay.ws).host
  const cases: [environment: Record<string, string>, code: number, says: RegExp][] = [
    [{}, 78, /^THROUGHLINE_SITES: /],
    [{ THROUGHLINE_SITES: '/nowhere/sites.json' }, 78, /^THROUGHLINE_SITES: .*nowhere/],
    [
      { THROUGHLINE_SITES: relay.sitesFile, THROUGHLINE_BUS: 'kafka://x' },
      78,
      /^THROUGHLINE_BUS: expected .*, found "kafka/,
    ],
    [{ THROUGHLINE_SITES: relay.sitesFile, THROUGHLINE_BUSS: 'memory' }, 78, /THROUGHLINE_BUSS: .*THROUGHLINE_BUS\?/],
    [{ THROUGHLINE_SITES: relay.sitesFile, THROUGHLINE_WS_LISTEN: taken, ...FREE }, 1, /EADDRINUSE/],
    [{ THROUGHLINE_SITES: relay.sitesFile, UWS_BINARY: '/nowhere' }, 1, /no uWebSockets.js binary loads .*Node.*glibc/],
  ]
  for (const [environment, code, says] of cases) {
    const { exit, stderr } = await serve(environment)
    t.equal(exit, code, stderr)
    t.match(stderr, says)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
  }
})
