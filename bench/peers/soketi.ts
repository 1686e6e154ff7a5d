import { createHash, createHmac } from 'node:crypto'
import { join } from 'node:path'
import type { Contestant, Running, Turn } from '../lib/contestant.ts'
import { post } from '../lib/event.ts'
import { Child, freePort } from '../lib/processes.ts'
import { PEERS } from './installed.ts'

const SERVER = join(PEERS, 'node_modules/@soketi/soketi/bin/server.js')
const APP = { id: 'app', key: 'key', secret: 'secret' }
/** Channels of these kinds want a signature, and the id of the socket in it. */
const PRIVATE = 'private-'
const PRESENCE = 'presence-'

/** soketi as its documentation starts it, with what would limit it switched off. */
export const soketi: Contestant = {
  name: 'soketi',
  tryAt: 120,
  async start(redis) {
    const a = await startNode(redis)
    const b = redis === undefined ? a : await startNode(redis)
    const nodes = a === b ? [a.node] : [a.node, b.node]
    return { nodes, apiPort: a.port, socketPort: b.port, ...dialect }
  },
}

async function startNode(redis: string | undefined): Promise<{ node: Child; port: number }> {
  const port = await freePort()
  const env = {
    SOKETI_HOST: '127.0.0.1',
    SOKETI_PORT: String(port),
    SOKETI_DEFAULT_APP_ID: APP.id,
    SOKETI_DEFAULT_APP_KEY: APP.key,
    SOKETI_DEFAULT_APP_SECRET: APP.secret,
    SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: 'true',
    SOKETI_EVENT_MAX_BATCH_SIZE: '1000',
    SOKETI_PRESENCE_MAX_MEMBERS: '100000',
    ...(redis === undefined
      ? {}
      : {
          SOKETI_ADAPTER_DRIVER: 'redis',
          SOKETI_DB_REDIS_HOST: '127.0.0.1',
          SOKETI_DB_REDIS_PORT: new URL(redis).port,
        }),
  }
  const [node] = await Child.start(
    process.execPath,
    [SERVER, 'start'],
    env,
    output => /up and running/.exec(output) ?? undefined,
  )
  return { node, port }
}

const dialect: Omit<Running, 'nodes' | 'apiPort' | 'socketPort'> = {
  path: `/app/${APP.key}?protocol=7&client=bench&version=1`,
  keepsAlive: false,
  answer: /^\{"event":"pusher(:connection_established|_internal:subscription_succeeded)"/,
  joining: (user, threads) => ['', ...threads.map(thread => subscription(user, thread))],
  joiningSeen: (user, threads) => ['', ...threads.map(thread => subscription(user, PRESENCE + thread))],
  joiningToSend: (user, threads) => ['', ...threads.map(thread => subscription(user, PRIVATE + thread))],
  ownThread: user => [channelOf(user)],
  publishing: (thread, data) => signed('events', `{"name":"message","channel":"${thread}","data":${data}}`),
  frame,
  publishingTo: (users, data) =>
    signed('events', JSON.stringify({ name: 'message', channels: users.map(channelOf), data: JSON.parse(data) })),
  frameTo: (user, data) => frame(channelOf(user), data),
  publishingAll: (threads, data) => {
    const events = threads.map(thread => `{"name":"message","channel":"${thread}","data":${data}}`)
    return signed('batch_events', `{"batch":[${events.join()}]}`)
  },
  sending: thread => `{"event":"client-typing","channel":"${PRIVATE}${thread}","data":{}}`,
}

function frame(thread: string, data: string): string {
  return `{"event":"message","channel":"${thread}","data":${data}}`
}

function channelOf(user: number): string {
  return `user-${user}`
}

/** A public channel as it is; the others with the socket's id in the signature, so after its first frame was read. */
function subscription(user: number, channel: string): Turn {
  if (!channel.startsWith(PRIVATE) && !channel.startsWith(PRESENCE))
    return JSON.stringify({ event: 'pusher:subscribe', data: { channel } })
  return said => {
    const socket = /socket_id\\?":\\?"([\d.]+)/.exec(said)?.[1] ?? ''
    const member = channel.startsWith(PRESENCE) ? JSON.stringify({ user_id: `u${user}`, user_info: {} }) : undefined
    const text = [socket, channel, ...(member === undefined ? [] : [member])].join(':')
    const auth = `${APP.key}:${hmac(text)}`
    return JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth, channel_data: member } })
  }
}

/** Signs a call of Pusher's HTTP API: the query holds a digest of the body, and a signature of path and query. */
function signed(call: string, body: string): Buffer {
  const path = `/apps/${APP.id}/${call}`
  const md5 = createHash('md5').update(body).digest('hex')
  const time = Math.floor(Date.now() / 1000)
  const query = `auth_key=${APP.key}&auth_timestamp=${time}&auth_version=1.0&body_md5=${md5}`
  return post(`${path}?${query}&auth_signature=${hmac(`POST\n${path}\n${query}`)}`, '', body)
}

function hmac(text: string): string {
  return createHmac('sha256', APP.secret).update(text).digest('hex')
}
