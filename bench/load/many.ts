/**
 * Many small targets, closed loop with 64 requests in flight: threads of two sockets, one event a request or batches, and
 * users by themselves. What is delivered waits in the kernel until the run is over, so that the load client's core goes into
 * publishing; then all of it is read and counted.
 */
import { type Contestant, end, type Running } from '../lib/contestant.ts'
import { dataAt } from '../lib/event.ts'
import { startRedis } from '../lib/processes.ts'
import { PublisherThread } from '../lib/publisher-thread.ts'
import { measureShares } from '../lib/shares.ts'
import { NO_PAUSE_MS, sleep, takeTurns } from '../lib/turns.ts'
import { close, complete, open } from './crowd.ts'
import type { Session } from './session.ts'

const THREADS = 5000
const MEMBERS = 2
const BATCH = 100
const USERS = 5000
const USERS_AT_ONCE = 10
/** Of one length, so that all frames are. */
const FIRST = 10_000
const IN_FLIGHT = 64
const WARM_SECONDS = 1
const RAMP_MS = 200

export type Many = (contestant: Contestant) => Promise<Session>

/** What is published, by turns, and to whom: `targets` names those of a request by their numbers. */
interface Load {
  readonly payload: number
  readonly sockets: number
  readonly threadsOf: (user: number) => string[]
  readonly requests: readonly Buffer[]
  readonly events: number
  /** How many of them a receiver gets, 1 if left out. */
  readonly each?: number
  /** Returns which request brings a receiver its events. */
  readonly requestOf: (receiver: number) => number
}

export const openSmall: Many = contestant => openMany(contestant, small)

/** The same through Redis: published on one node, delivered by another. */
export const openSmallTwo: Many = contestant => openMany(contestant, small, true)

const small = (server: Running): Load => ({
  ...threadsOfTwo(server),
  requests: Array.from({ length: THREADS }, (_, i) => server.publishing(threadOf(i), DATA)),
  events: 1,
  requestOf: receiver => Math.floor(receiver / MEMBERS),
})

export const openBatch: Many = contestant =>
  openMany(contestant, server => ({
    ...threadsOfTwo(server),
    requests: chunks(THREADS, BATCH).map(threads => batchOf(server, threads)),
    events: BATCH,
    requestOf: receiver => Math.floor(receiver / MEMBERS / BATCH),
  }))

/** All events of a batch for one thread: its sockets are then written to once for all of them. */
export const openBatchOfOne: Many = contestant =>
  openMany(contestant, server => ({
    ...threadsOfTwo(server),
    requests: Array.from({ length: THREADS }, (_, i) => batchOf(server, Array<number>(BATCH).fill(i))),
    events: BATCH,
    each: BATCH,
    requestOf: receiver => Math.floor(receiver / MEMBERS),
  }))

export const openUsers: Many = contestant =>
  openMany(contestant, server => ({
    payload: server.frameTo?.(FIRST, DATA).length ?? missing('frameTo'),
    sockets: USERS,
    // A peer has no chain of a user's own: there it is a thread.
    threadsOf: user => server.ownThread?.(user) ?? ['t0'],
    requests: chunks(USERS, USERS_AT_ONCE).map(
      users =>
        server.publishingTo?.(
          users.map(user => FIRST + user),
          DATA,
        ) ?? missing('publishingTo'),
    ),
    events: USERS_AT_ONCE,
    requestOf: receiver => Math.floor(receiver / USERS_AT_ONCE),
  }))

const DATA = dataAt(0)

function threadsOfTwo(server: Running): Pick<Load, 'payload' | 'sockets' | 'threadsOf'> {
  return {
    payload: server.frame(threadOf(0), DATA).length,
    sockets: THREADS * MEMBERS,
    threadsOf: user => [threadOf(Math.floor((user - FIRST) / MEMBERS))],
  }
}

async function openMany(contestant: Contestant, loadOf: (server: Running) => Load, twoNodes = false): Promise<Session> {
  const redis = twoNodes ? await startRedis() : undefined
  const server = await contestant.start(redis?.address)
  const processes = [...(redis === undefined ? [] : [redis.child]), ...server.nodes]
  const { payload, sockets, threadsOf, requests, events, each = 1, requestOf } = loadOf(server)
  const receivers = await open(server, { payload }, [FIRST, FIRST + sockets], threadsOf)
  const publisher = await PublisherThread.open({
    door: { apiPort: server.apiPort, keepsAlive: server.keepsAlive },
    greeting: server.publishing('nobody', DATA),
    requests,
    connections: IN_FLIGHT,
  })

  async function measure(seconds: number): Promise<Record<string, number>> {
    for (const receiver of receivers) receiver.pause()
    publisher.go()
    await sleep(RAMP_MS)
    const before = publisher.answered
    const shares = measureShares(processes)
    await sleep(seconds * 1000)
    const { elapsed, servers, client, others } = shares()
    const answered = publisher.answered - before
    await publisher.pause()
    for (const receiver of receivers) receiver.resume()
    const stop = takeTurns(NO_PAUSE_MS)
    const all = publisher.answered
    const whole = Math.floor(all / requests.length)
    const rest = all % requests.length
    await complete(receivers, receiver => each * (whole + (requestOf(receiver) < rest ? 1 : 0)))
    stop()
    const server = servers.reduce((sum, share) => sum + share, 0)
    const [ofRedis = 0, first = 0, last = 0] = servers
    return {
      events: (answered * events) / elapsed,
      server,
      ...(twoNodes && { redis: ofRedis, first, last }),
      client,
      others,
    }
  }

  await measure(WARM_SECONDS)
  return {
    measure,
    async close() {
      await publisher.close()
      close(receivers)
      await end(server)
      await redis?.child.end()
    },
  }
}

function threadOf(index: number): string {
  return `t${FIRST + index}`
}

function batchOf(server: Running, threads: readonly number[]): Buffer {
  return server.publishingAll?.(threads.map(threadOf), DATA) ?? missing('publishingAll')
}

function chunks(length: number, size: number): number[][] {
  return Array.from({ length: length / size }, (_, chunk) => Array.from({ length: size }, (_, i) => chunk * size + i))
}

function missing(what: string): never {
  throw new Error(`this contestant has no ${what}: name the scenario in its lacks`)
}
