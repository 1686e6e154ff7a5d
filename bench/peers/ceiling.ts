/**
 * The ceiling: the least that a server on uWebSockets.js can do and still fan out. A socket's first frame names its
 * topics; POST /<topic> publishes the body as it is. What arrives in a tick is published from setImmediate, outside any
 * handler: ten times faster than inside one, where the cork belongs to the HTTP response. No tokens, no JSON, no stamps.
 */
import { loadUws } from '../../src/gateway/uws.ts'

const { uws } = loadUws(process.env['UWS_BINARY'])
const waiting: [topic: string, frame: ArrayBuffer][] = []

function publish(topic: string, frame: ArrayBuffer): void {
  if (waiting.push([topic, frame]) === 1) setImmediate(flush)
}

function flush(): void {
  for (const [topic, frame] of waiting.splice(0)) app.publish(topic, frame, false)
}

const app = uws
  .App()
  .ws('/*', {
    maxBackpressure: 64 * 1024 * 1024,
    message(ws, topics) {
      for (const topic of Buffer.from(topics).toString('latin1').split(' ')) ws.subscribe(topic)
      ws.send('ready', false)
    },
  })
  .post('/*', (res, req) => {
    const topic = req.getUrl().slice(1)
    let body = Buffer.alloc(0)
    res.onAborted(() => {})
    res.onData((chunk, last) => {
      body = Buffer.concat([body, Buffer.from(chunk)])
      if (!last) return
      publish(topic, body.buffer.slice(body.byteOffset, body.byteOffset + body.length))
      res.end('{}')
    })
  })
  .listen('127.0.0.1', 0, socket => {
    if (socket === false) throw new Error('the ceiling cannot listen')
    console.log(
      JSON.stringify({ msg: 'listening', port: 'bare', address: `127.0.0.1:${uws.us_socket_local_port(socket)}` }),
    )
  })
