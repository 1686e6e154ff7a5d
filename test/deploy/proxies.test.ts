/** nginx, Caddy and HAProxy with the files that we ship, before two real nodes. */
import { once } from 'node:events'
import { request } from 'node:https'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { makePair } from '../support/certificate.ts'
import { Client, type ClientOptions } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { freeNodePorts, KINDS, NODES, type ReverseProxy, startReverseProxy } from '../support/reverse-proxy.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)
const acme = new Site('acme')
const token = acme.user('7', { 42: ['read'] })
const pair = makePair()
const ca = pair.cert
// Kept on loopback by the kernel, but not exempt from the limits as 127.0.0.0/8 is.
const outside = Object.values(networkInterfaces())
  .flatMap(addresses => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

/** Calls through a proxy on a connection of its own. */
async function call(
  { api }: ReverseProxy,
  path: string,
  {
    body,
    method = body === undefined ? 'GET' : 'POST',
    ...options
  }: { body?: object; method?: string } & ClientOptions = {},
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  const headers = { authorization: `Bearer ${acme.server()}`, 'content-type': 'application/json', ...options.headers }
  const sent = request(api + path, { ...options, ca, agent: false, method, headers })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode!, headers: response.headers, text }
}

const publish = (proxy: ReverseProxy, data: unknown): ReturnType<typeof call> =>
  call(proxy, '/v1/publish', { body: { to: { thread: '42' }, type: 'm', data } })

/** Publishes as an outbox does: a call on a kept connection to a node that has just gone is answered 502, and repeated. */
async function deliver(proxy: ReverseProxy, data: unknown): Promise<void> {
  await until(async () => (await publish(proxy, data)).status === 200, { what: 'a publish' })
}

async function join(t: Test, proxy: ReverseProxy, options: ClientOptions = {}): Promise<Client> {
  const client = await Client.open(t, proxy, { ca, ...options })
  await client.ask('connect', { token })
  await client.subscribe('42')
  return client
}

/** Returns the status with which an upgrade is refused, undefined if it is not. */
async function refusal(t: Test, proxy: ReverseProxy, options: ClientOptions): Promise<number | undefined> {
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    ...options.headers,
  }
  const sent = request(`${proxy.api}/v1/ws`, { ...options, ca, agent: false, headers }).end()
  const status = await new Promise<number | undefined>((resolve, reject) => {
    sent.once('response', response => resolve(response.resume().statusCode))
    sent.once('upgrade', (_response, socket) => {
      t.teardown(() => socket.destroy())
      resolve(undefined)
    })
    sent.once('error', reject)
  })
  return status
}

for (const kind of KINDS) {
  await t.test(kind.name, async t => {
    const redis = await startRedis(t)
    const ports = await freeNodePorts()
    const start = (host: string): Promise<Relay> =>
      startRelay(t, acme.entry({ limits: { data_bytes: 1_000_000 } }), {
        THROUGHLINE_BUS: redis.url,
        THROUGHLINE_TRUST_PROXY: '127.0.0.1',
        THROUGHLINE_WS_LISTEN: `${host}:${ports.ws}`,
        THROUGHLINE_API_LISTEN: `${host}:${ports.api}`,
        THROUGHLINE_ADMIN_LISTEN: `${host}:${ports.admin}`,
        THROUGHLINE_LIMITS: '{"address_attempts_per_second":1}',
        THROUGHLINE_LOG_LEVEL: 'debug',
        THROUGHLINE_DRAIN_SECONDS: '2',
      })
    const nodes = await Promise.all(NODES.map(start))
    const proxy = await startReverseProxy(t, kind, pair, ports)
    const connections = (): Promise<number[]> => Promise.all(nodes.map(node => metric(node, 'connections')))
    /** Joins until each node has one of the clients. */
    const joinBoth = async (t: Test): Promise<Client[]> => {
      const clients: Client[] = []
      await until(
        async () => {
          clients.push(await join(t, proxy))
          return (await connections()).every(count => count > 0)
        },
        { what: 'a client on each node' },
      )
      return clients
    }

    await t.test('connects, subscribes and publishes through TLS, on both nodes, up to the largest event', async t => {
      const clients = await joinBoth(t)
      for (const data of [1, 'x'.repeat(999_000)]) {
        t.equal((await publish(proxy, data)).status, 200)
        for (const client of clients)
          await client.expect(({ op, data: got }) => op === 'event' && got === data, 'event')
      }
      const tooLarge = await publish(proxy, 'x'.repeat(1_100_000))
      t.match(tooLarge, { status: 413, text: /"too_large"/ }, "the relay's own answer")
    })

    await t.test('sends /v1/ice to the WebSocket port, and nobody to the admin port', async t => {
      t.match(await call(proxy, '/v1/ice', { method: 'OPTIONS' }), {
        status: 200,
        headers: { 'access-control-allow-methods': 'GET' },
      })
      t.equal((await call(proxy, '/v1/openapi.json')).status, 200)
      for (const path of ['/', '/metrics', '/readyz', '/healthz', '/V1/ws']) {
        t.equal((await call(proxy, path)).status, 404, path)
      }
    })

    await t.test('tells the address that the client comes from, and believes none that it claims', async t => {
      const client = await Client.open(t, proxy, {
        ca,
        localAddress: '127.0.0.9',
        headers: { 'X-Forwarded-For': '198.51.100.7' },
      })
      client.send({ op: 'connect', token: 'x' })
      await client.expectClose()
      const seen = (): string[] =>
        nodes.flatMap(({ log }) => log).filter(line => line.includes('"code":"token_malformed"'))
      await until(() => seen().length > 0, { what: 'a line in the log' })
      t.strictSame(
        seen().map(line => (JSON.parse(line) as { address: string }).address),
        ['127.0.0.9'],
      )
    })

    const skip = outside === undefined && 'this machine has no address but those of loopback'
    await t.test('the limits of an address count the client, whatever it claims', { skip }, async t => {
      const statuses: (number | undefined)[] = []
      for (let i = 1; i <= 30; i++) {
        const headers = { 'X-Forwarded-For': `198.51.100.${i}` }
        statuses.push(await refusal(t, proxy, { localAddress: outside!, headers }))
      }
      t.ok(
        statuses.includes(undefined) && statuses.includes(429),
        `10 at once and 1 a second on each node: ${statuses.join()}`,
      )
      t.equal(await refusal(t, proxy, {}), undefined, 'others are let in')
    })

    await t.test('passes on 503 with Retry-After while the bus is down', async t => {
      const client = await join(t, proxy)
      await redis.kill()
      await client.expect(({ op, bus }) => op === 'status' && bus === 'down', 'status down')
      await until(async () => (await publish(proxy, 1)).text.includes('"bus_down"'), { what: 'bus_down' })
      t.match(await publish(proxy, 1), { status: 503, headers: { 'retry-after': /^\d+$/ } })
      await redis.restart()
      await client.expect(({ op, bus }) => op === 'status' && bus === 'up', 'status up')
      await deliver(proxy, 1)
    })

    await t.test('a node is killed: its clients come back to the other at once, and calls are taken there', async t => {
      const clients = await joinBoth(t)
      nodes[0]!.kill('SIGKILL')
      await until(() => clients.some(({ closed }) => closed !== undefined), { what: 'a close' })
      for (const { closed } of clients) {
        if (closed === undefined) continue
        const again = await join(t, proxy)
        await deliver(proxy, 'again')
        await again.expect(({ data }) => data === 'again', 'the event')
        t.equal(again.closed, undefined)
      }
      nodes[0] = await start(NODES[0])
    })

    await t.test('a node drains: its clients are asked to go, and new ones and calls come to the other', async t => {
      const clients = await joinBoth(t)
      const called = (): Promise<number> => metric(nodes[0]!, 'events_published_total{source="api"}')
      await until(async () => (await publish(proxy, 0)).status === 200 && (await called()) > 0, {
        what: 'calls to come to the node that is back',
      })
      nodes[1]!.kill('SIGTERM')
      await until(() => clients.some(({ frames }) => frames.some(({ op }) => op === 'drain')), { what: 'drain' })
      for (let i = 1; i <= 5; i++) {
        const again = await join(t, proxy)
        await deliver(proxy, i)
        await again.expect(({ data }) => data === i, 'the event')
        t.equal(again.closed, undefined)
      }
      t.equal(await nodes[1]!.exit, 0)
    })
  })
}
