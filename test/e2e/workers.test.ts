import t, { type Test } from 'tap'
import { makePair, PairFiles } from '../support/certificate.ts'
import { Client } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, serve, Site, startRelay } from '../support/relay.ts'
import { sites } from '../support/site-metrics.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const redis = await startRedis(t)
const acme = new Site('acme')
const server = acme.server()
const token = acme.user('7', { t1: ['read'] })
const WORKERS = { THROUGHLINE_BUS: redis.url, THROUGHLINE_WORKERS: '2', THROUGHLINE_DRAIN_SECONDS: '2' }
// Many enough that both have some: that one has all happens once in 2^39 times.
const CLIENTS = 40

/** Starts two workers, and waits until both take connections. */
async function start(environment: Record<string, string> = {}): Promise<Relay> {
  // Not 0: until a worker listens on it, a port that the system chose may become the end of somebody's connection.
  const [ws, api] = [await freePort(), await freePort()]
  const listen = { THROUGHLINE_WS_LISTEN: `127.0.0.1:${ws}`, THROUGHLINE_API_LISTEN: `127.0.0.1:${api}` }
  const relay = await startRelay(t, acme.entry(), { ...WORKERS, ...listen, ...environment })
  t.teardown(() => workersOf(relay).forEach(pid => isThere(pid) && process.kill(pid, 'SIGKILL')))
  await until(() => workersOf(relay).length === 2, { what: 'two workers that listen' })
  await until(async () => (await fetch(`${relay.admin}/readyz`)).status === 200, { what: 'both to be ready' })
  return relay
}

/** Returns the process ids of all workers that have ever listened. */
function workersOf(relay: Relay): number[] {
  const entries = relay.log.flatMap(line => (line.startsWith('{') ? [JSON.parse(line) as Record<string, any>] : []))
  return entries.filter(({ worker, port }) => worker !== undefined && port === 'ws').map(({ pid }) => pid as number)
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function gone(t: Test, relay: Relay): Promise<void> {
  await until(() => !workersOf(relay).some(isThere), { what: 'every worker to end' })
  t.pass('no process is left')
}

/** Opens many clients of one thread. */
async function crowd(relay: Relay): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(t, relay, token)))
  await Promise.all(clients.map(client => client.subscribe('t1')))
  return clients
}

/** Returns the first part of a connection's id, which is its process'. */
function processOf(client: Client): string {
  return (client.frames[0]!['connection'] as string).split('.')[0]!
}

function publish(relay: Relay, id: string): Promise<{ status: number }> {
  return call(relay, server, '/v1/publish', { to: { thread: 't1' }, type: 'm', data: 1, id }, { connection: 'close' })
}

await t.test('two workers: shared ports, one /metrics, a worker that is killed is replaced', async t => {
  const relay = await start()
  t.same(await (await fetch(`${relay.admin}/healthz`)).json(), { alive: true })
  t.same(await (await fetch(`${relay.admin}/readyz`)).json(), { ready: true, bus: 'up' })
  const queue = await fetch(`${relay.admin}/callbacks?site=acme`)
  t.match([queue.status, await queue.json()], [404, { code: 'not_found', detail: /the site has no callback/ }])
  const clients = await crowd(relay)
  t.equal(new Set(clients.map(processOf)).size, 2, 'both have connections')

  await t.test('an event reaches the clients of both, whichever took the call', async t => {
    for (let n = 0; n < 10; n++) t.equal((await publish(relay, `${n}`)).status, 200)
    await until(() => clients.every(client => client.events().length === 10), { what: 'all events everywhere' })
    for (const client of clients) {
      t.strictSame(
        client.events().map(event => event['id']),
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
      )
    }
  })

  await t.test('the numbers are those of both together', async t => {
    t.equal(await metric(relay, 'connections'), CLIENTS)
    t.equal(await metric(relay, 'connections_opened_total'), CLIENTS)
    t.equal(await metric(relay, 'frames_received_total{op="subscribe"}'), CLIENTS)
    t.equal(await metric(relay, 'events_published_total{source="api"}'), 10)
    t.equal(await metric(relay, 'event_publish_seconds_count'), 10)
    t.equal(await metric(relay, 'event_publish_seconds_bucket{le="+Inf"}'), 10)
    await until(async () => (await metric(relay, 'deliveries_total')) === 10 * CLIENTS, { what: 'the deliveries' })
    t.equal(await metric(relay, 'delivery_latency_seconds_count'), 20, 'once an event and worker')
    t.equal(await metric(relay, 'bus_up'), 1)
    const text = await (await fetch(`${relay.admin}/metrics`)).text()
    t.match(text, /^throughline_build_info\{[^}]+\} 1$/m)
    t.match(text, /^# TYPE throughline_event_publish_seconds histogram$/m)
    t.match(text, /^process_cpu_seconds_total [\d.]+$/m)
    t.strictSame(await sites(relay), {
      acme: {
        connections: CLIENTS,
        'events_published_total source=api': 10,
        'events_published_total source=client': 0,
        deliveries_total: 10 * CLIENTS,
      },
    })
  })

  await t.test('one is killed: it is replaced, its clients come back, and no counter goes down', async t => {
    const COUNTERS = ['connections_opened_total', 'deliveries_total', 'event_publish_seconds_count']
    const before = await Promise.all(COUNTERS.map(name => metric(relay, name)))
    const [victim] = workersOf(relay)
    process.kill(victim!, 'SIGKILL')
    let unready = false
    await until(
      async () => {
        const values = await Promise.all(COUNTERS.map(name => metric(relay, name)))
        for (const [i, value] of values.entries()) if (value < before[i]!) t.fail(`${COUNTERS[i]} went down`)
        const { status } = await fetch(`${relay.admin}/readyz`)
        unready ||= status === 503
        return unready && status === 200
      },
      { what: 'it to be replaced' },
    )
    await until(() => workersOf(relay).length === 3, { what: 'the third to have said that it listens' })
    const lost = clients.filter(({ closed }) => closed !== undefined)
    t.ok(lost.length > 0 && lost.length < CLIENTS, 'the clients of the other noticed nothing')
    const again = await crowd(relay)
    t.equal(new Set(again.map(processOf)).size, 2, 'both have connections again')
    await publish(relay, 'after')
    const all = [...clients.filter(client => !lost.includes(client)), ...again]
    await until(() => all.every(client => client.events().at(-1)?.['id'] === 'after'), { what: 'the event everywhere' })
    t.equal(await metric(relay, 'connections'), all.length)
    t.equal(await metric(relay, 'connections_opened_total'), 2 * CLIENTS)
    const delivered = 11 * CLIENTS - lost.length + again.length
    await until(async () => (await sites(relay))['acme']?.['deliveries_total'] === delivered, {
      what: 'what the one that died had counted for the site, and what came after',
    })
    t.match((await sites(relay))['acme'], { connections: all.length, 'events_published_total source=api': 11 })
  })

  await t.test('Redis goes away: not one says that the bus is up', async t => {
    await redis.stop()
    const answer = async (): Promise<unknown> => (await fetch(`${relay.admin}/readyz`)).json()
    await until(async () => JSON.stringify(await answer()) === '{"ready":true,"bus":"down"}', { what: 'bus: down' })
    t.equal(await metric(relay, 'bus_up'), 0)
    await redis.restart()
    await until(async () => JSON.stringify(await answer()) === '{"ready":true,"bus":"up"}', { what: 'bus: up' })
  })

  await t.test('a second start on the same ports is refused, with or without workers', async t => {
    const taken = { THROUGHLINE_WS_LISTEN: new URL(relay.ws).host, THROUGHLINE_API_LISTEN: new URL(relay.api).host }
    const free = { THROUGHLINE_WS_LISTEN: '127.0.0.1:0', THROUGHLINE_API_LISTEN: '127.0.0.1:0' }
    const cases: Record<string, string>[] = [
      taken,
      { ...taken, THROUGHLINE_WS_LISTEN: '127.0.0.1:0' },
      { ...taken, THROUGHLINE_WORKERS: '1' },
      { ...free, THROUGHLINE_ADMIN_LISTEN: new URL(relay.admin).host },
    ]
    for (const one of cases) {
      const admin = { THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0' }
      const { exit, stderr } = await serve({ THROUGHLINE_SITES: relay.sitesFile, ...WORKERS, ...admin, ...one })
      t.equal(exit, 1, stderr)
      t.match(stderr, /EADDRINUSE/)
      t.equal(stderr.trim().split('\n').length, 1, stderr)
    }
  })

  await t.test('SIGTERM drains both side by side, and the exit code is 0', async t => {
    const last = await crowd(relay)
    relay.kill('SIGTERM')
    for (const client of last) await client.expect(({ op }) => op === 'drain', 'drain')
    t.equal((await fetch(`${relay.admin}/readyz`)).status, 503)
    for (const client of last.slice(1)) client.socket.close()
    t.same(await last[0]!.expectClose(), { code: 4503, reason: 'draining' })
    t.equal(await relay.exit, 0)
    await gone(t, relay)
  })
})

await t.test('a second SIGTERM ends all at once, with 1', async t => {
  const relay = await start({ THROUGHLINE_DRAIN_SECONDS: '60' })
  const client = await Client.connect(t, relay, token)
  relay.kill('SIGTERM')
  await client.expect(({ op }) => op === 'drain', 'drain')
  relay.kill('SIGTERM')
  t.equal(await relay.exit, 1)
  await gone(t, relay)
})

await t.test('Ctrl-C goes to every process, and drains as SIGTERM does; with TLS too', async t => {
  const pair = makePair()
  const relay = await start(new PairFiles(t, pair).environment)
  const wss = { ...relay, ws: relay.ws.replace('ws:', 'wss:') }
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.open(t, wss, { ca: pair.cert })))
  for (const client of clients) await client.ask('connect', { token })
  t.equal(new Set(clients.map(processOf)).size, 2)
  for (const pid of [...workersOf(relay), relay.pid]) process.kill(pid, 'SIGINT')
  for (const client of clients) await client.expect(({ op }) => op === 'drain', 'drain')
  for (const client of clients) client.socket.close()
  t.equal(await relay.exit, 0)
  await gone(t, relay)
})

await t.test('the first process is killed: the workers drain and end', async t => {
  const relay = await start()
  const client = await Client.connect(t, relay, token)
  relay.kill('SIGKILL')
  await client.expect(({ op }) => op === 'drain', 'drain')
  client.socket.close()
  await gone(t, relay)
})

await t.test('what one worker cannot start with ends all, with one line', async t => {
  const free = { THROUGHLINE_WS_LISTEN: '127.0.0.1:0', THROUGHLINE_API_LISTEN: '127.0.0.1:0' }
  const cases: [environment: Record<string, string>, code: number, says: RegExp][] = [
    [{ THROUGHLINE_SITES: '/nowhere/sites.json' }, 78, /^THROUGHLINE_SITES: .*nowhere/],
    [{ THROUGHLINE_SITES: '/nowhere', UWS_BINARY: '/nowhere' }, 1, /no uWebSockets.js binary loads/],
    [{ THROUGHLINE_SITES: '/nowhere', THROUGHLINE_BUS: 'memory' }, 78, /^THROUGHLINE_WORKERS: expected 1 with the mem/],
  ]
  for (const [environment, code, says] of cases) {
    const admin = { THROUGHLINE_ADMIN_LISTEN: '127.0.0.1:0' }
    const { exit, stderr } = await serve({ ...WORKERS, ...free, ...admin, ...environment })
    t.equal(exit, code, stderr)
    t.match(stderr, says)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
  }
})
