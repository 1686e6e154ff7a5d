/** What nginx, Caddy and HAProxy make of a request on its way to a node, with the files that we ship. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import t, { type Test } from 'tap'
import { makePair } from '../support/certificate.ts'
import { Client } from '../support/client.ts'
import { Site, startRelay } from '../support/relay.ts'
import {
  freeNodePorts,
  KINDS,
  NODES,
  type NodePorts,
  type ReverseProxy,
  shipped,
  startReverseProxy,
} from '../support/reverse-proxy.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)
const acme = new Site('acme')
const pair = makePair()
const ca = pair.cert
// RFC 6455 §1.3.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** Stands in for two nodes, and keeps what it is sent: it answers /v1/ws with an upgrade, all else with 200. */
async function startRecorders(t: Test): Promise<{ ports: NodePorts; heads: string[]; sockets: Socket[] }> {
  const ports = await freeNodePorts()
  const heads: string[] = []
  const sockets: Socket[] = []
  for (const host of NODES) {
    for (const port of Object.values(ports)) {
      const server = createServer(socket => {
        t.teardown(() => socket.destroy())
        socket.on('error', () => socket.destroy())
        socket.once('data', data => {
          const head = data.toString()
          const isSocket = head.includes('/v1/ws')
          if (isSocket) {
            heads.push(head)
            sockets.push(socket)
          }
          socket.write(
            isSocket
              ? `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`
              : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
          )
        })
      })
      await once(server.listen(port, host), 'listening')
      t.teardown(() => server.close())
    }
  }
  return { ports, heads, sockets }
}

/** Opens a socket through a proxy by hand, and returns all that comes. */
async function openRaw(t: Test, { api }: ReverseProxy): Promise<{ got: () => string; closed: () => boolean }> {
  const port = Number(new URL(api).port)
  const socket = secure({
    ca,
    host: '127.0.0.1',
    socket: connect({ host: '127.0.0.1', port, localAddress: '127.0.0.9' }),
  })
  t.teardown(() => socket.destroy())
  let got = ''
  let closed = false
  socket.on('data', data => {
    got += data.toString('latin1')
  })
  socket.once('close', () => {
    closed = true
  })
  socket.on('error', () => socket.destroy())
  await once(socket, 'secureConnect')
  const key = `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`
  socket.write(
    `GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}` +
      'Cookie: a=b\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 198.51.100.8\r\n\r\n',
  )
  await until(() => got.includes('\r\n\r\n'), { what: 'an answer' })
  return { got: () => got, closed: () => closed }
}

for (const kind of KINDS) {
  await t.test(`${kind.name}: one X-Forwarded-For, no cookie, and nothing is held back`, async t => {
    const { ports, heads, sockets } = await startRecorders(t)
    const proxy = await startReverseProxy(t, kind, pair, ports)
    const socket = await openRaw(t, proxy)
    t.match(socket.got(), /^HTTP\/1\.1 101 /)
    t.strictSame(heads[0]!.toLowerCase().match(/^x-forwarded-for:.*$/gm), ['x-forwarded-for: 127.0.0.9'])
    t.notMatch(heads[0], /^cookie:/im)
    // A frame of 64 KiB of which the second half never comes.
    sockets[0]!.write(Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Buffer.alloc(32_768, 'a')]))
    await until(() => socket.got().endsWith('a'.repeat(32_768)), { what: 'the first half' })
  })

  const timeouts = {
    nginx: { shipped: 'proxy_read_timeout 75s', short: 'proxy_read_timeout 1s' },
    haproxy: { shipped: 'timeout tunnel 75s', short: 'timeout tunnel 1s' },
    caddy: undefined,
  }[kind.name]
  await t.test(`${kind.name}: an idle socket outlives two heartbeats`, async t => {
    const { ports } = await startRecorders(t)
    if (timeouts === undefined) {
      // It knows no such time: none but those of dialling and of the answer's headers are set.
      t.strictSame(shipped(kind).match(/^\t\t\w*timeout.*$/gm), [
        '\t\tdial_timeout 2s',
        '\t\tresponse_header_timeout 75s',
      ])
      const edits = { 'response_header_timeout 75s': 'response_header_timeout 1s' }
      const socket = await openRaw(t, await startReverseProxy(t, kind, pair, ports, edits))
      await new Promise(resolve => setTimeout(resolve, 2000))
      t.notOk(socket.closed(), "nor does the answer's time end it")
      return
    }
    const relay = await startRelay(t, acme.entry())
    const { heartbeat } = await (await Client.open(t, relay)).ask('connect', { token: acme.user('7') })
    t.ok(75 > 2 * heartbeat)
    const socket = await openRaw(
      t,
      await startReverseProxy(t, kind, pair, ports, { [timeouts.shipped]: timeouts.short }),
    )
    await until(socket.closed, { what: 'the end: it is this time that counts' })
  })
}

await t.test('haproxy: send-proxy-v2 tells the address too', async t => {
  const kind = KINDS.find(({ name }) => name === 'haproxy')!
  const ports = await freeNodePorts()
  const relay = await startRelay(t, acme.entry(), {
    THROUGHLINE_TRUST_PROXY: '127.0.0.1',
    THROUGHLINE_WS_LISTEN: `127.0.0.1:${ports.ws}`,
    THROUGHLINE_API_LISTEN: `127.0.0.1:${ports.api}`,
    THROUGHLINE_ADMIN_LISTEN: `127.0.0.1:${ports.admin}`,
    THROUGHLINE_LOG_LEVEL: 'debug',
  })
  const proxy = await startReverseProxy(t, kind, pair, ports, {
    'server node1 node1:8080': 'server node1 node1:8080 send-proxy-v2',
    '  http-request set-header X-Forwarded-For %[src]\n': '',
  })
  const headers = { 'X-Forwarded-For': '198.51.100.7' }
  const client = await Client.open(t, proxy, { ca, localAddress: '127.0.0.9', headers })
  client.send({ op: 'connect', token: 'x' })
  await client.expectClose()
  const line = await until(() => relay.log.find(line => line.includes('token_malformed')), { what: 'the refusal' })
  t.equal((JSON.parse(line) as { address: string }).address, '127.0.0.9')
})
