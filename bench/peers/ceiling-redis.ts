/**
 * The ceiling of a cluster: ceiling.ts with one Redis PUBLISH in between. Run twice, with the address of a Redis: what
 * is posted to one is delivered by the other, published from setImmediate, outside any uWebSockets handler.
 */
import { Redis } from 'ioredis'
import { loadUws } from '../../src/gateway/uws.ts'

const { uws } = loadUws(process.env['UWS_BINARY'])
const address = process.argv[2] ?? ''
const publisher = new Redis(address, { enableAutoPipelining: true })
const subscriber = new Redis(address)
const subscribed = new Map<string, Promise<unknown>>()
const waiting: [topic: string, frame: Buffer][] = []

subscriber.on('messageBuffer', (channel: Buffer, frame: Buffer) => {
  if (waiting.push([channel.toString('latin1'), frame]) === 1) setImmediate(flush)
})

function flush(): void {
  for (const [topic, frame] of waiting.splice(0)) app.publish(topic, frame, false)
}

function subscribe(topic: string): Promise<unknown> {
  const known = subscribed.get(topic) ?? subscriber.subscribe(topic)
  subscribed.set(topic, known)
  return known
}

const app = uws
  .App()
  .ws('/*', {
    maxBackpressure: 64 * 1024 * 1024,
    async message(ws, bytes) {
      const topics = Buffer.from(bytes).toString('latin1').split(' ')
      for (const topic of topics) ws.subscribe(topic)
      await Promise.all(topics.map(subscribe))
      ws.send('ready', false)
    },
  })
  .post('/*', (res, req) => {
    const topic = req.getUrl().slice(1)
    let body = Buffer.alloc(0)
    let aborted = false
    res.onAborted(() => {
      aborted = true
    })
    res.onData((chunk, last) => {
      body = Buffer.concat([body, Buffer.from(chunk)])
      if (last) void publisher.publish(topic, body).then(() => aborted || res.cork(() => res.end('{}')))
    })
  })
  .listen('127.0.0.1', 0, socket => {
    if (socket === false) throw new Error('the ceiling cannot listen')
    console.log(
      JSON.stringify({ msg: 'listening', port: 'bare', address: `127.0.0.1:${uws.us_socket_local_port(socket)}` }),
    )
  })
