/**
 * Socket.IO as its documentation builds it, with an HTTP endpoint beside it as an origin would have: POST /<rooms> emits
 * the body to the rooms. Run with the folder that the packages are in, and a Redis for two nodes.
 */
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'

interface Emitter {
  emit(event: string, data: unknown): void
}
interface Socket {
  join(rooms: readonly string[]): Promise<void> | void
  to(room: string): Emitter
  on(event: 'join', listener: (rooms: string[], done: () => void) => void): void
  on(event: 'typing', listener: (room: string) => void): void
}
interface SocketIo {
  to(rooms: readonly string[]): Emitter
  on(event: 'connection', listener: (socket: Socket) => void): void
}
interface Packages {
  Server: new (http: HttpServer, options: object) => SocketIo
  createAdapter(publisher: unknown, subscriber: unknown): unknown
  Redis: new (address: string) => { duplicate(): unknown }
}

const [, , folder = '', redis] = process.argv
const require = createRequire(`${folder}/`)
const { Server } = require('socket.io') as Pick<Packages, 'Server'>

function adapter(address: string): unknown {
  const { createAdapter } = require('@socket.io/redis-adapter') as Pick<Packages, 'createAdapter'>
  const { Redis } = require('ioredis') as Pick<Packages, 'Redis'>
  const publisher = new Redis(address)
  return createAdapter(publisher, publisher.duplicate())
}

const http = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString()
  })
  request.on('end', () => {
    io.to((request.url ?? '').slice(1).split(',')).emit('message', JSON.parse(body))
    response.end('{}')
  })
})
const io = new Server(http, {
  transports: ['websocket'],
  ...(redis === undefined ? {} : { adapter: adapter(redis) }),
})
io.on('connection', socket => {
  socket.on('join', (rooms, done) => {
    void Promise.resolve(socket.join(rooms)).then(() => done())
  })
  socket.on('typing', room => socket.to(room).emit('typing', null))
})
http.listen(0, '127.0.0.1', () => {
  const { port } = http.address() as AddressInfo
  console.log(JSON.stringify({ msg: 'listening', port: 'socket.io', address: `127.0.0.1:${port}` }))
})
