import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { openPoster, type PostFault, type Poster, type PosterOptions } from '../../src/callbacks/post.ts'
import { makePair } from '../support/certificate.ts'
import { freePort } from '../support/ports.ts'

const LOCAL = { allow: ['127.0.0.0/8'] }

async function listen(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const serve = (t: Test, listener: RequestListener): Promise<number> => listen(t, createServer(listener))

function open(t: Test, options: PosterOptions = LOCAL): Poster {
  const poster = openPoster(options)
  t.teardown(() => poster.close())
  return poster
}

const post = (poster: Poster, url: string, ms = 5000): ReturnType<Poster['post']> =>
  poster.post(new URL(url), { 'webhook-id': '1' }, '{}', ms)

const fault = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    ({ fault, status, message }: PostFault) => `${fault} ${status ?? '-'}: ${message}`,
  )

await t.test(
  'what is posted arrives with the headers that a firewall can go by, and the answer comes back',
  async t => {
    const port = await serve(t, (request, response) => {
      const { method, url, headers } = request
      request.on('data', body => {
        response.writeHead(201, { 'x-a': ['1', '2'] }).end(JSON.stringify({ method, url, headers, body: String(body) }))
      })
    })
    const { status, headers, body } = await post(open(t), `http://127.0.0.1:${port}/a?b=c`)
    t.equal(status, 201)
    t.equal(headers['x-a'], '1, 2')
    const seen = JSON.parse(body)
    t.match(seen, { method: 'POST', url: '/a?b=c', body: '{}' })
    t.match(seen.headers, {
      'user-agent': 'Throughline-Callbacks/1',
      'content-type': 'application/json',
      'webhook-id': '1',
    })
  },
)

await t.test('a redirect is reported and not followed', async t => {
  let hits = 0
  const port = await serve(t, (_request, response) => {
    hits++
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  const { status, headers } = await post(open(t), `http://127.0.0.1:${port}/`)
  t.equal(status, 307)
  t.equal(headers['location'], '/elsewhere')
  t.equal(hits, 1)
})

await t.test('an address in the URL is refused before anything is sent, and so is http', async t => {
  let connections = 0
  const server = createServer()
  server.on('connection', () => connections++)
  const port = await listen(t, server)
  const poster = open(t, { allow: [] })
  for (const host of [`127.0.0.1:${port}`, `[::ffff:127.0.0.1]:${port}`, `localhost:${port}`]) {
    for (const protocol of ['http', 'https']) {
      t.match(await fault(post(poster, `${protocol}://${host}/`)), /^address_refused ./, `${protocol}://${host}`)
    }
  }
  t.match(await fault(post(poster, 'http://93.184.216.34/')), /^address_refused -: .*https:/)
  t.match(await fault(post(poster, 'ftp://93.184.216.34/')), /^address_refused -: .*https:/)
  t.equal(connections, 0)
})

await t.test('a name is resolved once for a connection, so that rebinding it gains nothing', async t => {
  const port = await serve(t, (request, response) => response.end(request.headers.host))
  let asked = 0
  const resolve = async (): Promise<{ address: string; family: number }[]> => {
    asked++
    return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }]
  }
  const poster = open(t, { ...LOCAL, resolve })
  t.equal((await post(poster, `http://rebinding.example:${port}/`)).body, `rebinding.example:${port}`)
  t.equal(asked, 1)
  const fresh = open(t, { ...LOCAL, resolve })
  t.match(await fault(post(fresh, `http://rebinding.example:${port}/`)), /^address_refused -: 10\.0\.0\.1 is not/)
})

await t.test('each way in which no answer comes has its name', async t => {
  const poster = open(t)
  t.match(await fault(post(poster, `https://${'n'.repeat(64)}.example/`)), /^dns ./)
  t.match(await fault(post(poster, `http://127.0.0.1:${await freePort()}/`)), /^connect ./)
  const reset = await listen(
    t,
    createTcpServer(socket => socket.on('error', () => {}).resetAndDestroy()),
  )
  t.match(await fault(post(poster, `http://127.0.0.1:${reset}/`)), /^reset ./)
  const other = await listen(
    t,
    createTcpServer(socket => void socket.on('error', () => {}).end('SSH-2.0-x\r\n')),
  )
  t.match(await fault(post(poster, `http://127.0.0.1:${other}/`)), /^reset ./)
  t.match(await fault(post(poster, `https://127.0.0.1:${other}/`)), /^tls ./)
  const headers = await serve(t, (_request, response) => response.writeHead(200, { 'x-a': 'a'.repeat(20_000) }).end())
  t.match(await fault(post(poster, `http://127.0.0.1:${headers}/`)), /^too_large ./)
})

await t.test('one clock is for all of it: slow headers and a body that drips are both cut off', async t => {
  const poster = open(t)
  const silent = await serve(t, () => {})
  t.match(await fault(post(poster, `http://127.0.0.1:${silent}/`, 200)), /^timeout -/)
  const dripping = await serve(t, (_request, response) => {
    response.writeHead(200)
    const timer = setInterval(() => response.write('.'), 20)
    response.on('close', () => clearInterval(timer))
  })
  t.match(await fault(post(poster, `http://127.0.0.1:${dripping}/`, 200)), /^timeout 200/)
})

await t.test('of a body 64 KiB are read and the rest is left; what is compressed stays so', async t => {
  const poster = open(t)
  const endless = await serve(t, (_request, response) => {
    const more = (): void =>
      void (response.write('x'.repeat(65_536)) ? setImmediate(more) : response.once('drain', more))
    more()
  })
  t.equal((await post(poster, `http://127.0.0.1:${endless}/`)).body.length, 65_536)
  const bomb = gzipSync(Buffer.alloc(20_000_000))
  const bombing = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  })
  const { headers, body } = await post(poster, `http://127.0.0.1:${bombing}/`)
  t.equal(headers['content-encoding'], 'gzip')
  t.ok(body.length <= 65_536)
})

await t.test('a certificate is verified, for the name in the URL', async t => {
  const pair = makePair()
  const port = await listen(
    t,
    createTlsServer(pair, (_request, response) => response.end('secure')),
  )
  t.equal((await post(open(t, { ...LOCAL, ca: pair.cert }), `https://127.0.0.1:${port}/`)).body, 'secure')
  t.match(await fault(post(open(t), `https://127.0.0.1:${port}/`)), /^tls -: self.signed/)
  const resolve = async (): Promise<{ address: string; family: number }[]> => [{ address: '127.0.0.1', family: 4 }]
  const other = open(t, { ...LOCAL, ca: pair.cert, resolve })
  t.match(await fault(post(other, `https://other.example:${port}/`)), /^tls -: .*altnames/)
})
