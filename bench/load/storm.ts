/**
 * Many come at once, as after a node's end: upgraded, verified, subscribed, so many at a time. Each brings a token of its
 * own that was made before, and all leave again after each run. Where that is allowed a client says all that it has to say
 * as soon as it is upgraded: a browser's does too. `server` time is what counts when the client is as busy.
 */
import { type Algorithm, type Contestant, end, type Turn } from '../lib/contestant.ts'
import { Receiver } from '../lib/receiver.ts'
import { measureShares } from '../lib/shares.ts'
import { sleep } from '../lib/turns.ts'
import { close } from './crowd.ts'
import type { Session } from './session.ts'

const AT_ONCE = 256
const MEMBERS = 10
const WARM_CONNECTIONS = 3000
/** What a server needs to notice that all have left, and to let go of them. */
const LEFT_MS = 300

interface Storm {
  readonly connections: number
  readonly algorithm?: Algorithm
  /** Whether all are in one thread, and told of each other. */
  readonly seen?: true
}

export async function openStorm(contestant: Contestant, { connections, algorithm, seen }: Storm): Promise<Session> {
  const server = await contestant.start(undefined, algorithm)
  const joining = (seen === true ? server.joiningSeen : undefined) ?? server.joining
  const open = server.pipelines === true ? 'openAtOnce' : 'open'
  let users = 0

  async function come(all: readonly (readonly Turn[])[]): Promise<Receiver[]> {
    const receivers: Receiver[] = []
    let next = 0
    const one = async (): Promise<void> => {
      while (next < all.length) receivers.push(await Receiver[open](server, { payload: 0 }, all[next++]!))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    return receivers
  }

  async function run(count: number): Promise<Record<string, number>> {
    const all = Array.from({ length: count }, () => {
      const user = users++
      return joining(user, [seen === true ? 'all' : `t${Math.floor(user / MEMBERS)}`])
    })
    const shares = measureShares(server.nodes)
    const receivers = await come(all)
    const { elapsed, servers, client, others } = shares()
    close(receivers)
    await sleep(LEFT_MS)
    return { connections: count / elapsed, count, server: servers[0] ?? 0, client, others }
  }

  await run(Math.min(connections, WARM_CONNECTIONS))
  return {
    measure: () => run(connections),
    close: () => end(server),
  }
}
