/**
 * A publisher on a thread of its own, with its own event loop, on the same core as the receivers: it must answer the
 * server within a fraction of a millisecond, also while the receivers are busy with what came of the last publish.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { type Door, GREETED_MS, Publisher } from './publisher.ts'
import { PUBLISHER_PAUSE_MS, takeTurns, until } from './turns.ts'

interface Job {
  readonly door: Door
  readonly connections: number
  /** A request that causes little work, see Publisher. */
  readonly greeting: Uint8Array
  /** These are sent by turns, from run to run. */
  readonly requests: readonly Uint8Array[]
  /** Publishes per second in an open loop; without it a closed loop on all connections. */
  readonly rate?: number
}

/** What both threads share: three counters, and a state on which a paused publisher sleeps. */
const ANSWERED = 0
const DUE = 1
const STATE = 2
const GOING = 1
const PAUSING = 2
const PAUSED = 3

export class PublisherThread {
  fault: Error | undefined
  readonly #worker: Worker
  readonly #shared: Int32Array

  private constructor(job: Job) {
    this.#shared = new Int32Array(new SharedArrayBuffer(12))
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { job, shared: this.#shared } })
    this.#worker.on('error', error => {
      this.fault ??= error instanceof Error ? error : new Error(String(error))
    })
  }

  /** Opens its connections, warms the server, and then waits. */
  static async open(job: Job): Promise<PublisherThread> {
    const publisher = new PublisherThread(job)
    await publisher.#paused()
    return publisher
  }

  get answered(): number {
    return Atomics.load(this.#shared, ANSWERED)
  }

  /** Publishes that should have been sent by now, in an open loop. */
  get due(): number {
    return Atomics.load(this.#shared, DUE)
  }

  go(): void {
    Atomics.store(this.#shared, STATE, GOING)
    Atomics.notify(this.#shared, STATE)
  }

  /** Ends the loop, and waits until all that is in flight or due is answered. */
  async pause(): Promise<void> {
    Atomics.store(this.#shared, STATE, PAUSING)
    await this.#paused()
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #paused(): Promise<void> {
    await until(
      'all publishes were answered',
      () => Atomics.load(this.#shared, STATE) === PAUSED || this.fault !== undefined,
      GREETED_MS,
    )
    if (this.fault !== undefined) throw this.fault
  }
}

async function work(job: Job, shared: Int32Array): Promise<void> {
  const greeting = Buffer.from(job.greeting)
  const requests = job.requests.map(bytes => Buffer.from(bytes))
  let turn = 0
  const next = (): Buffer => requests[turn++ % requests.length] ?? greeting
  await Publisher.warm(job.door, greeting)
  for (;;) {
    Atomics.store(shared, STATE, PAUSED)
    // Asleep until told to go: a paused publisher must not cost the other contestant's receivers anything.
    Atomics.wait(shared, STATE, PAUSED)
    // Fresh connections each time: a server may have closed what idled (uWebSockets does so after 10 s).
    const publisher = await Publisher.open(job.door, job.connections, greeting)
    await run(job, next, publisher, shared)
    publisher.close()
  }
}

/** Publishes until told to pause, and returns when all is answered. */
function run({ connections, rate }: Job, next: () => Buffer, publisher: Publisher, shared: Int32Array): Promise<void> {
  const before = { answered: Atomics.load(shared, ANSWERED), due: Atomics.load(shared, DUE) }
  const start = performance.now()
  let due = 0
  if (rate === undefined) publisher.saturate(connections, next)
  return new Promise(resolve => {
    const stop = takeTurns(PUBLISHER_PAUSE_MS, () => {
      if (publisher.fault !== undefined) throw publisher.fault
      const going = Atomics.load(shared, STATE) === GOING
      if (!going) publisher.pause()
      else if (rate !== undefined)
        for (const now = performance.now(); start + (due * 1000) / rate <= now; due++) publisher.publish(next())
      Atomics.store(shared, DUE, before.due + due)
      Atomics.store(shared, ANSWERED, before.answered + publisher.answered)
      if (going || publisher.open > 0) return
      stop()
      resolve()
    })
  })
}

if (!isMainThread) {
  const { job, shared } = workerData as { job: Job; shared: Int32Array }
  await work(job, shared)
}
