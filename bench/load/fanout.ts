/**
 * One thread with 1,000 sockets. With some publishes in flight in a closed loop, or through Redis at a fixed rate: how
 * many deliveries a second arrive? All servers share one core: two nodes and a Redis get no more than one node gets.
 */
import { type Contestant, end } from '../lib/contestant.ts'
import { dataAt } from '../lib/event.ts'
import { startRedis } from '../lib/processes.ts'
import { PublisherThread } from '../lib/publisher-thread.ts'
import { measureShares } from '../lib/shares.ts'
import { RECEIVER_PAUSE_MS, sleep, takeTurns } from '../lib/turns.ts'
import { close, complete, eventsOf, open } from './crowd.ts'
import type { Session } from './session.ts'

export const SOCKETS = 1000
const THREAD = 't1'
/** A thread that nobody is in. */
const NOBODY = 't0'
const WARM_SECONDS = 1
/** The time from the first publish to the start of measuring. */
const RAMP_MS = 300
const RATE_CONNECTIONS = 128

export type FanOut = {
  /** Per second. */
  readonly deliveries: number
  readonly publishes: number
  /** Publishes that were answered, of those that were due; 1 in a closed loop. */
  readonly kept: number
  /** Shares of a core; `server` is all of them, `last` the node that delivers. */
  readonly server: number
  readonly last: number
  readonly client: number
  readonly others: number
}

/** A closed loop with so many publishes in flight on one node, or a fixed rate per second through two nodes and Redis. */
export type FanOutJob = { readonly inFlight: number } | { readonly rate: number }

/** Returns the rate for a contestant: near what it can do. */
export type Rate = (contestant: Contestant) => number

export async function openFanOut(contestant: Contestant, job: FanOutJob): Promise<Session> {
  const redis = 'rate' in job ? await startRedis() : undefined
  const server = await contestant.start(redis?.address)
  const processes = [...(redis === undefined ? [] : [redis.child]), ...server.nodes]
  const data = dataAt(0)
  const receivers = await open(server, { payload: server.frame(THREAD, data).length }, [0, SOCKETS], () => [THREAD])
  const publisher = await PublisherThread.open({
    door: { apiPort: server.apiPort, keepsAlive: server.keepsAlive },
    greeting: server.publishing(NOBODY, data),
    requests: [server.publishing(THREAD, data)],
    ...('rate' in job ? { rate: job.rate, connections: RATE_CONNECTIONS } : { connections: job.inFlight }),
  })

  async function measure(seconds: number): Promise<FanOut> {
    const stop = takeTurns(RECEIVER_PAUSE_MS)
    publisher.go()
    await sleep(RAMP_MS)
    const before = { events: eventsOf(receivers), answered: publisher.answered, due: publisher.due }
    const shares = measureShares(processes)
    await sleep(seconds * 1000)
    const { elapsed, servers, client, others } = shares()
    const publishes = publisher.answered - before.answered
    const result = {
      deliveries: (eventsOf(receivers) - before.events) / elapsed,
      publishes: publishes / elapsed,
      kept: 'rate' in job ? publishes / (publisher.due - before.due) : 1,
      server: servers.reduce((sum, share) => sum + share, 0),
      last: servers.at(-1) ?? 0,
      client,
      others,
    }
    await publisher.pause()
    await complete(receivers, () => publisher.answered)
    stop()
    return result
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
