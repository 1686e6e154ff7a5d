/**
 * Resident memory of an idle connection: 10,000 of them are opened beside 1,000 that are there already, so that what a
 * server takes once (compiled code, tables, its young heap) is not charged to the connections. No garbage collection is
 * forced: the server is left alone until its memory stands still.
 */
import { type Contestant, end } from '../lib/contestant.ts'
import type { Child } from '../lib/processes.ts'
import { sleep } from '../lib/turns.ts'
import { close, complete, open } from './crowd.ts'
import type { Session } from './session.ts'

const EARLIER = 1000
const CONNECTIONS = 10_000
const MEMBERS = 10
const STILL_BYTES = 128 * 1024
const STILL_SECONDS = 2
const AT_MOST_SECONDS = 10

export type Memory = {
  readonly perConnection: number
  /** Counted from a server that has just started: one-time costs are in it. */
  readonly fromTheStart: number
}

/** Everybody is in one thread; or each ten users have so many threads together. */
export async function openMemory(contestant: Contestant, threads: number): Promise<Session> {
  const server = await contestant.start()
  const [node] = server.nodes
  if (node === undefined) throw new Error('no server')
  const threadsOf = (user: number): string[] =>
    threads === 1 ? ['t1'] : Array.from({ length: threads }, (_, index) => `t${Math.floor(user / MEMBERS)}-${index}`)
  const empty = node.residentBytes()
  const receivers = await open(server, { payload: 0 }, [0, EARLIER], threadsOf)
  const before = await settled(node)

  return {
    async measure(): Promise<Memory> {
      receivers.push(...(await open(server, { payload: 0 }, [EARLIER, EARLIER + CONNECTIONS], threadsOf)))
      const after = await settled(node)
      await complete(receivers, () => 0)
      return { perConnection: (after - before) / CONNECTIONS, fromTheStart: (after - empty) / (EARLIER + CONNECTIONS) }
    },
    async close() {
      close(receivers)
      await end(server)
    },
  }
}

/** Waits until the resident memory stands still, and returns it. */
export async function settled(node: Child): Promise<number> {
  let last = node.residentBytes()
  let still = 0
  for (let second = 0; second < AT_MOST_SECONDS && still < STILL_SECONDS; second++) {
    await sleep(1000)
    const now = node.residentBytes()
    still = Math.abs(now - last) <= STILL_BYTES ? still + 1 : 0
    last = now
  }
  return last
}
