import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { quantile, rowOf } from '../../src/commands/top/rates.ts'
import { readSamples } from '../../src/commands/top/samples.ts'
import { addSites, busiest, type SiteRow, sitesOf } from '../../src/commands/top/sites.ts'
import { top } from '../../src/commands/top.ts'
import { Client } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { startRedis } from '../support/redis.ts'
import { call, CLI, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { misused, openFolder, refused } from './throughline.ts'

const folder = await openFolder(t)
const acme = new Site('acme')
const redis = await startRedis(t)
const relays = [await startRelay(t, acme.entry(), { THROUGHLINE_BUS: redis.url })]
relays.push(await startRelay(t, acme.entry(), { THROUGHLINE_BUS: redis.url }))
const [first, second] = relays as [Relay, Relay]
const both = relays.map(({ admin }) => admin).join(',')
const hostOf = ({ admin }: Relay): string => new URL(admin).host

/** Returns the cells of a row of what --once printed. */
function cells(printed: string, name: string): string[] {
  const line = printed.split('\n').find(line => line.startsWith(`${name} `)) ?? ''
  return line.split(/ {2,}/)
}

await t.test('two nodes are shown with what they do each second, and what they do together', async t => {
  const clients = [
    await Client.connect(t, first, acme.user('7', { 42: ['read'] })),
    await Client.connect(t, second, acme.user('8', { 42: ['read'] })),
    await Client.connect(t, second, acme.user('9', { 42: ['read'] })),
  ]
  for (const client of clients) await client.subscribe('42')
  const token = acme.server()
  let over = false
  const publishing = (async () => {
    while (!over) await call(first, token, '/v1/publish', { to: { thread: '42' }, type: 'm', data: 1 })
  })()
  await until(() => clients.every(client => client.events().length > 0), { what: 'events' })
  const { code, stdout } = await folder.run('top', '--once', '--admin', both)
  over = true
  await publishing
  t.equal(code, 0)
  t.match(stdout, /^throughline: 2 nodes {2}\d{4}-\d\d-\d\dT/)
  const [a, b, total] = [hostOf(first), hostOf(second), 'total'].map(name => cells(stdout, name)) as [
    string[],
    string[],
    string[],
  ]
  t.strictSame(cells(stdout, 'node'), [
    'node',
    'version',
    'bus',
    'sockets',
    'closed/s',
    'publ/s',
    'deliv/s',
    'p50',
    'p99',
    'lag',
    'memory',
  ])
  const number = (cell = ''): number => Number(cell.replace(',', ''))
  t.strictSame([a[2], a[3], b[2], b[3]], ['up', '1', 'up', '2'], 'bus and sockets')
  t.ok(number(a[5]) > 0, 'published')
  t.equal(b[5], '0')
  t.ok(number(a[6]) > 0 && number(b[6]) > number(a[6]), 'twice as many are delivered where twice as many listen')
  t.match([a[7], b[7], total[6]], [/^\d+\.\d ms$/, /^\d+\.\d ms$/, /^\d+\.\d ms$/], 'p50')
  t.equal(number(total[2]), 3, 'sockets of all')
  t.strictSame(cells(stdout, 'site'), ['site', 'sockets', 'publ/s', 'deliv/s', 'limited/s', 'refused/s', 'waits'])
  const site = cells(stdout, 'acme')
  t.strictSame([site[1], site[4], site[5], site[6]], ['3', '0', '0', '-'], 'of both nodes')
  // Sites are scraped a moment after their node.
  t.ok(Math.abs(number(site[2]) / number(a[5]) - 1) < 0.3, 'all was published by it')
  t.ok(number(site[3]) > number(b[6]), 'what both deliver')
})

await t.test('a node that is down is shown, with the reason, and the exit code tells', async t => {
  const away = `http://127.0.0.1:${await freePort()}`
  const { code, stdout } = await folder.run('top', '--once', '--admin', `${first.admin},${away},${second.api}`)
  t.equal(code, 1)
  t.match(stdout, /^throughline: 3 nodes, 2 DOWN/)
  t.strictSame(cells(stdout, new URL(away).host), [new URL(away).host, 'DOWN: ECONNREFUSED'])
  t.match(cells(stdout, new URL(second.api).host)[1], 'DOWN: HTTP 404')
  t.equal(cells(stdout, hostOf(first))[2], 'up')
})

await t.test('the configured address is looked at unless others are named', async t => {
  const run = (address: string): Promise<{ code: number | null; stdout: string }> =>
    folder.shell(`THROUGHLINE_ADMIN_LISTEN=${address} throughline top --once || echo "ended with $?" >&2`)
  t.match((await run(`0.0.0.0:${new URL(first.admin).port}`)).stdout, `${hostOf(first)}  `)
  t.match(await run('9090'), {
    stdout: '',
    stderr: /^THROUGHLINE_ADMIN_LISTEN: expected host:port .*\nended with 78\n$/,
  })
})

await t.test('on a terminal it goes on until q, and leaves the terminal as it was', async t => {
  const line = `${process.execPath} ${CLI} top --admin ${first.admin}`
  const { NODE_OPTIONS: _, ...env } = process.env
  // script(1) is a terminal of its own.
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], { env })
  t.teardown(() => child.kill('SIGKILL'))
  let shown = ''
  child.stdout.on('data', (data: Buffer) => (shown += data.toString()))
  await until(() => shown.includes(' MiB'), { what: () => `a row; came: ${JSON.stringify(shown)}` })
  child.stdin.write('q')
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  t.ok(shown.startsWith('\x1b[?1049h\x1b[?25l'), 'the other screen, without a cursor')
  t.ok(shown.endsWith('\x1b[?25h\x1b[?1049l'), 'back, with a cursor')
  refused(t, await folder.run('top', '--admin', first.admin), 1, 'this is no terminal; --once prints one frame')
  await misused(t, top, ['--admin', 'localhost:9090'], '--admin "localhost:9090" is not an http or https URL')
})

await t.test('a restarted node has no rates yet, and no negative ones', async t => {
  const scrape = (at: number, text: string) => ({ at, samples: readSamples(text) })
  const before = scrape(0, 'throughline_deliveries_total 10\nthroughline_connections_closed_total{code="1000"} 1')
  const now = scrape(
    2000,
    'throughline_deliveries_total 4\nthroughline_connections_closed_total{code="1000"} 1\nthroughline_connections_closed_total{code="1001"} 6',
  )
  t.match(rowOf(before, now), { delivered: undefined, closed: 3 })
})

await t.test('sites are compared with the scrape before, and added up over nodes', async t => {
  const scrape = (at: number, text?: string) => ({
    at,
    samples: [],
    sites: text === undefined ? undefined : readSamples(text.replaceAll(/^/gm, 'throughline_site_')),
  })
  const before = scrape(0, 'deliveries_total{site="a"} 100\ndeliveries_total{site="restarted"} 100')
  const now = scrape(
    2000,
    `deliveries_total{site="a"} 104
deliveries_total{site="restarted"} 2
deliveries_total{site="new"} 6
connections{site="a"} 5
rate_limited_total{site="a",kind="sends"} 2
rate_limited_total{site="a",kind="frames"} 4
auth_failures_total{site="a"} 2
refusals_total{site="a"} 6
callback_queue_age_seconds{site="a"} 9`,
  )
  const one = sitesOf(before, now)
  t.strictSame(one.get('a'), { connections: 5, published: 0, delivered: 2, limited: 3, refused: 4, age: 9 })
  t.match([one.get('restarted'), one.get('new')], [{ delivered: 1 }, { delivered: 3 }])
  t.match(addSites([one, one]).get('a'), { connections: 10, delivered: 4, limited: 6, age: 9 })
  t.equal(sitesOf(scrape(0), now).size, 0, 'without the one before nothing can be told')
  t.equal(sitesOf(before, scrape(2000)).size, 0, 'nor of a node that has no such numbers')
})

await t.test('the busiest sites are shown, and those that are refused the most among them', async t => {
  const none: SiteRow = { connections: 0, published: 0, delivered: 0, limited: 0, refused: 0, age: 0 }
  const sites = new Map<string, SiteRow>()
  for (let i = 0; i < 20; i++) sites.set(`busy-${i}`, { ...none, delivered: 100 - i })
  for (let i = 0; i < 9; i++) sites.set(`refused-${i}`, { ...none, limited: i, connections: i })
  sites.set('both', { ...none, delivered: 1000, limited: 1000 })
  const shown = busiest(sites, 10).map(([site]) => site)
  t.strictSame(shown, [
    'both',
    'busy-0',
    'busy-1',
    'busy-2',
    'busy-3',
    'busy-4',
    'refused-8',
    'refused-7',
    'refused-6',
    'refused-5',
  ])
  t.strictSame(
    busiest(new Map([...sites].slice(0, 2)), 10).map(([site]) => site),
    ['busy-0', 'busy-1'],
  )
})

await t.test('quantiles are those of Prometheus, and the text format is understood', async t => {
  const latencies = new Map([
    [0.001, 50],
    [0.01, 40],
    [Infinity, 10],
  ])
  t.equal(quantile(latencies, 0.25), 0.0005)
  t.match(quantile(latencies, 0.7)?.toFixed(6), '0.005500')
  t.equal(quantile(latencies, 0.99), 0.01, 'above the last bound nothing is known')
  t.equal(quantile(new Map([[1, 0]]), 0.5), undefined)
  t.strictSame(readSamples('# HELP a b\na{x="1\\"\\\\2",y="{}"} 3 1700000000\n\nb +Inf\nno sample\n'), [
    { name: 'a', labels: { x: '1"\\2', y: '{}' }, value: 3 },
    { name: 'b', labels: {}, value: Infinity },
  ])
})
