/**
 * 1,000 sockets in threads of 10, 500 publishes a second in an open loop: the time from the moment when a request should
 * have been sent, to the bytes in the receiver's hands. A server that stalls is charged for all that waits meanwhile.
 */
import { type Contestant, end } from '../lib/contestant.ts'
import { dataAt, momentIn } from '../lib/event.ts'
import { Publisher } from '../lib/publisher.ts'
import { measureShares } from '../lib/shares.ts'
import { quantile } from '../lib/statistics.ts'
import { NO_PAUSE_MS, takeTurns, until } from '../lib/turns.ts'
import { close, complete, open } from './crowd.ts'
import type { Session } from './session.ts'

const SOCKETS = 1000
const MEMBERS = 10
const THREADS = Array.from({ length: SOCKETS / MEMBERS }, (_, index) => `t${100 + index}`)
const CONNECTIONS = 32
const INTERVAL_MS = 2
const WARM_SECONDS = 1
/** A thread that nobody is in. */
const NOBODY = 't000'

export type Latency = {
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly publishes: number
  readonly server: number
  readonly client: number
  readonly others: number
}

export async function openLatency(contestant: Contestant): Promise<Session> {
  const server = await contestant.start()
  const samples: number[] = []
  let from = Number.POSITIVE_INFINITY
  const onEvent = (bytes: Buffer, _start: number, end: number): void => {
    const moment = momentIn(bytes, end)
    if (moment >= from) samples.push(performance.now() * 1000 - moment)
  }
  const expected = { payload: server.frame(threadOf(0), dataAt(0)).length, onEvent }
  const receivers = await open(server, expected, [0, SOCKETS], user => [threadOf(Math.floor(user / MEMBERS))])
  const greeting = server.publishing(NOBODY, dataAt(0))
  await Publisher.warm(server, greeting)

  const published = THREADS.map(() => 0)
  let turn = 0
  function next(dueMs: number): Buffer {
    const index = turn++ % THREADS.length
    published[index] = (published[index] ?? 0) + 1
    return server.publishing(threadOf(index), dataAt(dueMs * 1000))
  }

  async function measure(seconds: number): Promise<Latency> {
    const publisher = await Publisher.open(server, CONNECTIONS, greeting)
    const start = performance.now()
    const total = Math.round((seconds * 1000) / INTERVAL_MS)
    let due = 0
    samples.length = 0
    from = Math.floor(start * 1000)
    const shares = measureShares(server.nodes)
    const stop = takeTurns(NO_PAUSE_MS, () => {
      for (; due < total && start + due * INTERVAL_MS <= performance.now(); due++)
        publisher.publish(next(start + due * INTERVAL_MS))
    })
    await until('all publishes were sent', () => due === total)
    const { servers, client, others, elapsed } = shares()
    await publisher.idle()
    await complete(receivers, index => published[Math.floor(index / MEMBERS)] ?? 0)
    stop()
    publisher.close()
    const sorted = samples.toSorted((a, b) => a - b)
    if (sorted.length !== total * MEMBERS) throw new Error(`${sorted.length} samples instead of ${total * MEMBERS}`)
    return {
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      p999: quantile(sorted, 0.999),
      publishes: due / elapsed,
      server: servers[0] ?? 0,
      client,
      others,
    }
  }

  await measure(WARM_SECONDS)
  return {
    measure,
    async close() {
      close(receivers)
      await end(server)
    },
  }
}

function threadOf(index: number): string {
  return THREADS[index] ?? ''
}
