import type { ClientFrame } from '../protocol/decode.ts'
import { Refusal } from '../protocol/refusal.ts'
import { connect } from './connect.ts'
import type { Connection } from './connection.ts'
import { presence } from './presence.ts'
import { receipt } from './receipt.ts'
import { refresh } from './refresh.ts'
import { send } from './send.ts'
import type { Services } from './services.ts'
import { subscribe } from './subscribe.ts'
import { unsubscribe } from './unsubscribe.ts'
import { unwatch, watch } from './watch.ts'

/** What is left of an op when all that it had to wait for is there. */
export type Rest = () => void

/**
 * Does what a frame asks for and answers it. A Refusal that it throws is told to the client. One that had to wait may
 * return the rest of it: that is done in one step, and one write, with the frames that waited behind it.
 */
export type Op = (connection: Connection, frame: ClientFrame, services: Services) => Promise<Rest | void> | void

export const OPS: ReadonlyMap<string, Op> = new Map<string, Op>([
  ['connect', connect],
  ['refresh', refresh],
  ['subscribe', subscribe],
  ['unsubscribe', unsubscribe],
  ['send', send],
  ['receipt', receipt],
  ['presence', presence],
  ['watch', watch],
  ['unwatch', unwatch],
])

/** Returns the op that a frame names. Throws a Refusal when there is none, or when it is not its time. */
export function opOf(frame: ClientFrame, first: boolean): Op {
  const op = OPS.get(frame.op)
  if (first && op !== connect) throw new Refusal('connect_first')
  if (!first && op === connect) throw new Refusal('bad_frame', 'a second connect')
  if (op === undefined) throw new Refusal('unknown_op', `known are ${[...OPS.keys()].join(', ')}`)
  return op
}
