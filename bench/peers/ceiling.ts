/**
 * The ceiling: the least that a server on uWebSockets.js can do and still fan out. A socket's first frame names its
 * topics; POST /<topics> publishes the body as it is to each, POST /<topics>?split in equal parts, one to each; a later
 * frame of a socket goes to the others in the topic that it begins with. What arrives in a tick is published from
 * setImmediate, outside any handler: ten times faster than inside one, where the cork belongs to the HTTP response. No
 * tokens, no JSON, no stamps.
 */
import type * as UWS from 'uws-20.56'
import { loadUws } from '../../src/gateway/uws.ts'

/** From its first frame until it closes. */
interface Client {
  socket?: UWS.WebSocket<Client>
}

const { uws } = loadUws(process.env['UWS_BINARY'])
const waiting: [topic: string, frame: ArrayBuffer, from: Client | undefined][] = []

function publish(topic: string, frame: ArrayBuffer, from?: Client): void {
  if (waiting.push([topic, frame, from]) === 1) setImmediate(flush)
}

function flush(): void {
  for (const [topic, frame, from] of waiting.splice(0))
    if (from === undefined) app.publish(topic, frame, false)
    else from.socket?.publish(topic, frame, false)
}

const app = uws
  .App()
  .ws<Client>('/*', {
    maxBackpressure: 64 * 1024 * 1024,
    message(ws, bytes) {
      const client = ws.getUserData()
      const text = Buffer.from(bytes).toString('latin1')
      const space = text.indexOf(' ')
      if (client.socket !== undefined) return publish(text.slice(0, space), bytes.slice(space + 1), client)
      client.socket = ws
      for (const topic of text.split(' ')) ws.subscribe(topic)
      ws.send('ready', false)
    },
    close(ws) {
      delete ws.getUserData().socket
    },
  })
  .post('/*', (res, req) => {
    const topics = req.getUrl().slice(1).split(',')
    const split = req.getQuery() === 'split'
    let body = Buffer.alloc(0)
    res.onAborted(() => {})
    res.onData((chunk, last) => {
      body = Buffer.concat([body, Buffer.from(chunk)])
      if (!last) return
      const size = split ? body.length / topics.length : body.length
      for (const [i, topic] of topics.entries()) {
        const start = body.byteOffset + (split ? i * size : 0)
        publish(topic, body.buffer.slice(start, start + size))
      }
      res.end('{}')
    })
  })
  .listen('127.0.0.1', 0, socket => {
    if (socket === false) throw new Error('the ceiling cannot listen')
    console.log(
      JSON.stringify({ msg: 'listening', port: 'bare', address: `127.0.0.1:${uws.us_socket_local_port(socket)}` }),
    )
  })
