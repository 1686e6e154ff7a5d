import { fileURLToPath } from 'node:url'
import type { Contestant, Running } from '../lib/contestant.ts'
import { frameOf, frameOfSend, frameToUser, post } from '../lib/event.ts'
import { Child, listening } from '../lib/processes.ts'

/** The ceiling: ceiling.ts, or with Redis two of ceiling-redis.ts. */
export const ceiling: Contestant = {
  name: 'ceiling',
  tryAt: 5000,
  start: redis => (redis === undefined ? one() : two(redis)),
}

async function one(): Promise<Running> {
  const [node, port] = await startNode('ceiling.js', [])
  return running([node], port, port)
}

async function two(redis: string): Promise<Running> {
  const [a, apiPort] = await startNode('ceiling-redis.js', [redis])
  const [b, socketPort] = await startNode('ceiling-redis.js', [redis])
  return running([a, b], apiPort, socketPort)
}

async function startNode(file: string, args: readonly string[]): Promise<[Child, number]> {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const [node, [port = 0]] = await Child.start(process.execPath, [path, ...args], {}, listening(['bare']))
  return [node, port]
}

function running(nodes: readonly Child[], apiPort: number, socketPort: number): Running {
  return {
    nodes,
    apiPort,
    socketPort,
    path: '/',
    keepsAlive: true,
    answer: /^ready$/,
    // As many topics as Throughline subscribes a connection to: its user and its site beside the threads.
    joining: (user, threads) => [['site', userTopic(user), ...threads].join(' ')],
    publishing: (thread, data) => post(`/${thread}`, '', frameOf(thread, data)),
    frame: frameOf,
    publishingTo: (users, data) => post(`/${users.map(userTopic).join()}`, '', frameToUser(data)),
    frameTo: (_user, data) => frameToUser(data),
    publishingAll: (threads, data) =>
      post(`/${threads.join()}?split`, '', threads.map(thread => frameOf(thread, data)).join('')),
    sending: thread => `${thread} ${frameOfSend(thread)}`,
  }
}

function userTopic(user: number): string {
  return `user:${user}`
}
