import { fileURLToPath } from 'node:url'
import type { Contestant, Running } from '../lib/contestant.ts'
import { post } from '../lib/event.ts'
import { Child, listening } from '../lib/processes.ts'
import { PEERS } from './installed.ts'

/** Socket.IO (socket-io-server.ts), with Redis two of them and its Redis adapter. It has no presence and no batch. */
export const socketIo: Contestant = {
  name: 'Socket.IO',
  lacks: ['batch', 'batch1', 'presence'],
  tryAt: 90,
  async start(redis) {
    const [a, apiPort] = await startNode(redis)
    const [b, socketPort] = redis === undefined ? [a, apiPort] : await startNode(redis)
    return { nodes: a === b ? [a] : [a, b], apiPort, socketPort, ...dialect }
  },
}

async function startNode(redis?: string): Promise<[Child, number]> {
  const path = fileURLToPath(new URL('socket-io-server.js', import.meta.url))
  const args = [path, PEERS, ...(redis === undefined ? [] : [redis])]
  const [node, [port = 0]] = await Child.start(process.execPath, args, {}, listening(['socket.io']))
  return [node, port]
}

/** Of Engine.IO 4 and Socket.IO 5: `0` opens, `40` connects, `42` is an event, `420` one that is answered by `430`, `2` is a ping. */
const dialect: Omit<Running, 'nodes' | 'apiPort' | 'socketPort'> = {
  path: '/socket.io/?EIO=4&transport=websocket',
  keepsAlive: true,
  answer: /^(0\{|40\{|430\[\]$)/,
  ping: { is: '2', pong: '3' },
  joining: (user, threads) => ['', '40', `420${JSON.stringify(['join', [roomOf(user), ...threads]])}`],
  publishing: (thread, data) => post(`/${thread}`, '', data),
  frame: (_thread, data) => `42["message",${data}]`,
  publishingTo: (users, data) => post(`/${users.map(roomOf).join()}`, '', data),
  frameTo: (_user, data) => `42["message",${data}]`,
  sending: thread => `42["typing","${thread}"]`,
}

function roomOf(user: number): string {
  return `user-${user}`
}
