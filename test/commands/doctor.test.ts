import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { doctor } from '../../src/commands/doctor.ts'
import type { Patient } from '../../src/commands/doctor/check.ts'
import { make } from '../../src/commands/doctor/examine.ts'
import { judgeFiles } from '../../src/commands/doctor/files.ts'
import { queue } from '../../src/commands/doctor/software.ts'
import { makeKey } from '../../src/commands/keys.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { CallbackOrigin, status } from '../support/callback-origin.ts'
import { makePair, PairFiles } from '../support/certificate.ts'
import { freePort } from '../support/ports.ts'
import { startRedis } from '../support/redis.ts'
import { type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { examined, type Findings } from './examined.ts'
import { misused, openFolder, type Outcome, refused } from './throughline.ts'

t.setTimeout(300_000)
const folder = await openFolder(t)
const acme = new Site('acme')

function put(name: string, value: unknown): string {
  const file = folder.file(name)
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 })
  return file
}

const sitesFile = put('sites.json', acme.entry())
const withSites = (sites: unknown, more: Record<string, string> = {}): Promise<Findings> =>
  examined({ THROUGHLINE_SITES: put('tried.json', sites), ...more })

await t.test('the command tells each check in a line, a remedy where one is needed, and a summary', async t => {
  const run = (line: string): Promise<Outcome> => folder.shell(line)
  const port = await freePort()
  const addresses = ['WS', 'API', 'ADMIN'].map(
    (name, i) => `THROUGHLINE_${name}_LISTEN=127.0.0.1:${i === 2 ? port : 0}`,
  )
  const env = [...addresses, 'THROUGHLINE_SITES=sites.json'].join(' ')
  const good = await run(`${env} throughline doctor`)
  t.match(good, { code: 0, stderr: '' })
  t.match(good.stdout, /^ok {4}configuration \S/)
  t.match(good.stdout, /^- {5}redis {9}skipped: the bus is memory/m)
  t.match(good.stdout, /\n\n\d+ ok, \d warnings?, 0 failed, \d+ skipped\n$/)

  const lost = `${env} THROUGHLINE_BUS=redis://:hunter2@127.0.0.1:${await freePort()} throughline doctor`
  const failing = await run(`${lost} || echo "ended with $?"`)
  t.match(failing.stdout, /^fail {2}redis .*ECONNREFUSED.*\n +→ Start Redis, .*\[redis_unreachable\]$/m)
  t.match(failing.stdout, /, 1 failed, .*\nended with 1\n$/)
  t.notMatch(failing.stdout + failing.stderr, 'hunter2')

  const { exit, summary, checks } = JSON.parse((await run(`${lost} --json || true`)).stdout)
  t.match({ exit, summary }, { exit: 1, summary: { fail: 1 } })
  t.match(
    checks.find(({ level }: { level: string }) => level === 'fail'),
    { check: 'redis', finding: 'redis_unreachable', remedy: /^Start Redis/ },
  )
})

await t.test('a wrong configuration ends with 78, and the file counts as it does for serve', async t => {
  const unknown = await folder.shell('THROUGHLINE_SITE=sites.json throughline doctor || echo "ended with $?"')
  t.match(unknown.stdout, /^fail {2}configuration THROUGHLINE_SITE: .*did you mean THROUGHLINE_SITES\?/)
  t.match(unknown.stdout, /^- {5}redis .*skipped: the configuration is wrong$/m)
  t.match(unknown.stdout, /\nended with 78\n$/)
  put('relay.conf', `THROUGHLINE_SITES=${put('broken.json', '{"acme": {"keys": []}}')}\n`)
  const broken = await folder.run('doctor', '--config', 'relay.conf', '--json')
  t.equal(broken.code, 78)
  const { checks } = JSON.parse(broken.stdout)
  t.match(
    checks.filter(({ level }: { level: string }) => level === 'fail'),
    [{ check: 'sites', finding: 'configuration_wrong', says: /^THROUGHLINE_SITES: .*acme/ }],
  )
  t.match((await folder.run('doctor', '--config', 'none.conf')).code, 78)
})

await t.test('options that do not go together are refused', async t => {
  await misused(t, doctor, ['--url', 'ws://127.0.0.1/v1/ws'], '--url and --api go together')
  await misused(t, doctor, ['--key', 'k.json'], 'say --site ID, too')
  await misused(t, doctor, ['--url', 'http://x', '--api', 'http://x'], '--url "http://x" is not a ws or wss URL')
  await misused(t, doctor, ['--url', 'ws://x', '--api', 'x'], '--api "x" is not an http or https URL')
  await misused(t, doctor, ['--site', 'A'], '--site "A" is not a site id')
  refused(t, await folder.run('doctor', '--site', 'acme', '--key', 'none.json'), 1, 'none.json')
})

await t.test('a check that hangs, or goes wrong, is a finding, and is bounded', async t => {
  const patient = {} as Patient
  const hanging = await make({ name: 'a', withinMs: 10, run: () => new Promise(() => {}) }, patient)
  t.match(hanging, [{ check: 'a', finding: 'no_answer', says: 'no answer within 0.01 s' }])
  const failing = await make({ name: 'b', run: () => Promise.reject(new Error('a slip')) }, patient)
  t.match(failing, [{ check: 'b', finding: 'check_failed', says: 'a slip' }])
})

await t.test('a port is free, somebody else has it, or it cannot be had', async t => {
  const other = createServer(socket => socket.end('HTTP/1.1 200 OK\r\n\r\nhello')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const found = await examined({
    THROUGHLINE_SITES: sitesFile,
    THROUGHLINE_WS_LISTEN: `127.0.0.1:${(other.address() as AddressInfo).port}`,
    THROUGHLINE_API_LISTEN: '192.0.2.1:8081',
    THROUGHLINE_ADMIN_LISTEN: `127.0.0.1:${await freePort()}`,
  })
  t.match(found.of('ports'), [
    { finding: 'port_taken' },
    { finding: 'port_address', says: /EADDRNOTAVAIL/ },
    { level: 'ok', says: /is free$/ },
  ])
})

await t.test('the limits of the machine are held against what is to come', async t => {
  t.equal(judgeFiles(1_048_576, 'a node', undefined, 1).level, 'ok')
  t.equal(judgeFiles(1024, 'a node', undefined, 1).finding, 'files_low')
  t.match(judgeFiles(1024, 'a node', 1000, 1), { finding: 'files_few', says: /too few for the 1000 connections/ })
  t.equal(judgeFiles(1024, 'a node', 1000, 2).level, 'ok', 'each worker has as many')
  t.match((await withSites(acme.entry(), { THROUGHLINE_LIMITS: '{"connections": 900000000}' })).names('files'), [
    'files_few',
  ])
  t.match(queue(put('somaxconn', '128\n')), [{ finding: 'somaxconn_small' }])
  t.match(queue(put('somaxconn', '4096\n')), [{ level: 'ok' }])
  t.strictSame(queue(folder.file('none')), [])
})

await t.test('a uWebSockets.js binary that does not load is told', async t => {
  const found = await withSites(acme.entry(), { UWS_BINARY: put('uws.node', 'no binary') })
  t.strictSame(found.names('software'), ['uws_missing', ...found.names('software').slice(1)])
})

await t.test('what a site file has and should not have is told', async t => {
  const key = makeKey('EdDSA', 'k1').public!
  const weak = { kty: 'oct', kid: 'w', k: Buffer.from('secret'.repeat(6)).toString('base64url') }
  const origins = ['https://example.com', 'http://localhost:8000']
  const found = await withSites(
    {
      a: { keys: [weak], origins: [...origins, 'http://example.com', 'null'] },
      b: { keys: [key, { ...key, kid: 'k2' }], origins, callback: { url: 'http://example.com/hook', events: [] } },
      c: { keys: [weak], origins },
    },
    { THROUGHLINE_OPERATOR_JWKS: JSON.stringify(key) },
  )
  t.match(
    found.of('sites').filter(({ level }) => level !== 'ok'),
    [
      { finding: 'key_shared', says: 'b has a key of the operator (kid k1)' },
      { finding: 'key_shared', says: 'b has a key of the operator (kid k2)' },
      { finding: 'key_shared', says: 'c has a key of a (kid w)' },
      { finding: 'key_guessable', says: 'the secret of a (kid w) was not made by chance' },
      { finding: 'key_guessable' },
      { finding: 'origin_plain', says: /^a lets pages of http:\/\/example\.com connect/ },
      { finding: 'origin_plain', says: /^a lets pages of null connect/ },
      { finding: 'callback_plain', says: 'the callback of b goes to http://example.com' },
    ],
  )
  t.notMatch(JSON.stringify(found.lines), weak.k)
  t.strictSame(found.names('callback-key'), ['callback_key_made'])

  const open = put('open.json', acme.entry())
  chmodSync(open, 0o644)
  t.strictSame((await examined({ THROUGHLINE_SITES: open })).names('sites'), ['sites_readable'])
  t.strictSame((await withSites({})).names('sites'), ['sites_none'])
})

await t.test('a callback key is a private one, or the configuration is wrong', async t => {
  const key = makeKey('EdDSA', 'k1')
  const tried = async (jwk: unknown): Promise<Findings> =>
    withSites(acme.entry(), { THROUGHLINE_CALLBACK_KEY: JSON.stringify(jwk) })
  t.match((await tried(key.private)).of('callback-key'), [{ level: 'ok' }])
  t.match((await tried(key.public)).of('callback-key'), [
    { finding: 'configuration_wrong', says: /^THROUGHLINE_CALLBACK_KEY: .*found a public one/ },
  ])
})

/** Makes a certificate for relay.example, the one that signed it, and that one's own. */
function makeChain(): { key: string; own: string; middle: string; root: string } {
  const file = (name: string): string => folder.file(`chain-${name}`)
  const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { stdio: 'ignore' })
  const request = (name: string, subject: string): unknown =>
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-subj',
      `/CN=${subject}`,
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.csr`),
    )
  const sign = (name: string, by: string, extension: string): void => {
    const ends = name === by ? ['-signkey', file(`${by}.key`)] : ['-CA', file(`${by}.pem`), '-CAkey', file(`${by}.key`)]
    openssl(
      'x509',
      '-req',
      '-days',
      '90',
      '-in',
      file(`${name}.csr`),
      ...ends,
      '-extfile',
      put('extensions', extension),
      '-out',
      file(`${name}.pem`),
    )
  }
  request('root', 'Root')
  sign('root', 'root', 'basicConstraints=CA:TRUE')
  request('middle', 'Middle')
  sign('middle', 'root', 'basicConstraints=CA:TRUE')
  request('own', 'relay.example')
  sign('own', 'middle', 'subjectAltName=DNS:relay.example,DNS:*.relay.example')
  const text = (name: string): string => readFileSync(file(name), 'utf8')
  return { key: text('own.key'), own: text('own.pem'), middle: text('middle.pem'), root: text('root.pem') }
}

await t.test('a certificate is judged by its dates, its chain, its key and its name', async t => {
  const { key, own, middle, root } = makeChain()
  const files = new PairFiles(t, { cert: own + middle, key, fingerprint: '' })
  const tried = async (cert: string, days = 0, options = {}): Promise<string[]> => {
    files.put({ cert })
    const clock = { now: () => systemClock.now() + days * 86_400_000 }
    return (await examined({ THROUGHLINE_SITES: sitesFile, ...files.environment }, options, clock)).names('certificate')
  }
  t.strictSame(await tried(own + middle), [])
  t.strictSame(await tried(own + middle + root), [])
  t.strictSame(await tried(own), ['tls_chain'])
  t.strictSame(await tried(own + root + middle), ['tls_chain'])
  t.strictSame(await tried(own + middle, 80), ['tls_expires', 'tls_expires'])
  t.strictSame(await tried(own + middle, 91), ['tls_expired', 'tls_expired'])
  t.strictSame(await tried(own + middle, -1), ['tls_not_yet', 'tls_not_yet'])
  const at = (host: string): object => ({ url: `wss://${host}:1/v1/ws`, api: `https://${host}:1` })
  t.strictSame(await tried(own + middle, 0, at('localhost')), ['tls_name'])
  t.strictSame(await tried(own + middle, 0, at('127.0.0.1')), ['tls_name'])
  t.strictSame(await tried(middle), ['configuration_wrong'], "another one's key")
  const self = makePair()
  files.put(self)
  t.strictSame(await tried(self.cert), ['tls_self_signed', 'tls_expires'].toReversed())
})

/** What a node on the same addresses would be configured with. */
function addressesOf({ ws, api, admin }: Relay): Record<string, string> {
  return {
    THROUGHLINE_WS_LISTEN: new URL(ws).host,
    THROUGHLINE_API_LISTEN: new URL(api).host,
    THROUGHLINE_ADMIN_LISTEN: new URL(admin).host,
  }
}

await t.test(
  'a node that runs, as a user of Redis with few rights, is tried with an event and its callbacks',
  async t => {
    const page = readFileSync(new URL('../../../docs/operate/doctor.md', import.meta.url), 'utf8')
    const [, rights = ''] = /^user throughline on >PASSWORD (.*)$/m.exec(page) ?? []
    const redis = await startRedis(t)
    await redis.cli('ACL', 'SETUSER', 'relay', 'on', '>p', ...rights.split(' '))
    const origin = await CallbackOrigin.start(t, status(500))
    const quiet = new Site('quiet')
    const sites = { ...quiet.entry(), ...acme.entry({ callback: { url: origin.url, events: [] } }) }
    const environment = {
      THROUGHLINE_BUS: redis.url.replace('//', '//relay:p@'),
      THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8',
    }
    const relay = await startRelay(t, sites, environment)
    const configured = { ...environment, ...addressesOf(relay), THROUGHLINE_SITES: relay.sitesFile }
    const found = await examined(configured)
    t.strictSame(
      found.lines.filter(({ level, check }) => level === 'fail' && check !== 'callbacks'),
      [],
    )
    t.match(found.says('ports').match(/is answered by a relay that runs already \(\d+\.\d+\.\d+\)/g)?.length, 3)
    t.match(found.says('files'), /^the running node may open \d+ files/)
    t.match(found.of('round-trip'), [{ level: 'ok', says: `an event of quiet went from ${relay.api} to ${relay.ws}` }])
    t.match(found.of('callbacks'), [{ finding: 'callback_fails', says: /^callbacks of acme do not arrive at .*500/ }])
    t.ok(origin.told.length > 0)

    const other = { url: relay.ws, api: relay.api }
    const peer = await examined({ THROUGHLINE_SITES: relay.sitesFile }, { ...other, site: 'quiet' })
    t.match(peer.of('round-trip'), [{ level: 'ok' }])
    t.match(peer.of('callbacks'), [{ level: 'skipped' }])
    t.match(peer.says('clocks'), `the clock of ${new URL(relay.api).host} is as this machine's`)
    const late = { now: () => systemClock.now() + 5000 }
    const far = await examined({ THROUGHLINE_SITES: relay.sitesFile }, { ...other, site: 'quiet' }, late)
    t.match(far.of('clocks').at(-1), { finding: 'clock_peer', says: /is [2-5]\.\d+ s behind this machine's/ })

    const stranger = put('stranger.json', new Site('acme').entry())
    const refused = await examined({ THROUGHLINE_SITES: stranger }, other)
    t.match(refused.of('round-trip'), [{ finding: 'round_trip_failed', says: /^acme: token_signature: / }])

    await redis.kill()
    await until(() => relay.log.some(line => line.includes('bus down')), { what: 'the bus to be down' })
    t.match((await examined(configured)).of('round-trip'), [
      { finding: 'round_trip_failed', says: /^quiet: bus_down: / },
    ])
  },
)

await t.test('a site with a licence is tried with its key and its licence', async t => {
  await folder.shell(`
    throughline keys --out operator.json > operator-public.json
    throughline keys --alg ES256 --out guest.json > guest-public.json
    throughline licence --operator-key operator.json --site guest --key guest-public.json --origin https://example.com > guest.licence`)
  const operator = { THROUGHLINE_OPERATOR_JWKS: folder.file('operator-public.json') }
  const relay = await startRelay(t, {}, operator)
  const options = { site: 'guest', key: folder.file('guest.json'), licence: folder.file('guest.licence') }
  const found = await examined({ ...operator, ...addressesOf(relay) }, options)
  t.match(found.of('sites'), [{ level: 'ok', says: 'licences are verified with 1 operator key' }])
  t.match(found.of('round-trip'), [{ level: 'ok', says: /^an event of guest/ }])
  t.match(found.of('callbacks'), [{ level: 'skipped', says: 'skipped: guest has no callback' }])
  const without = await examined({ ...operator, ...addressesOf(relay) }, { ...options, licence: undefined })
  t.match(without.of('round-trip'), [{ finding: 'round_trip_failed', says: /unknown_site/ }])
})

await t.test('nobody that answers, or somebody else, is not taken for a node', async t => {
  const at = `127.0.0.1:${await freePort()}`
  const found = await examined({ THROUGHLINE_SITES: sitesFile }, { url: `ws://${at}/v1/ws`, api: `http://${at}` })
  t.match(found.of('round-trip'), [{ finding: 'round_trip_failed', says: `acme: no WebSocket at ws://${at}/v1/ws` }])
  t.match(found.of('clocks').at(-1), { level: 'skipped' })
})
