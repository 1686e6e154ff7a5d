import { RelayError } from './errors.ts'
import { createEmitter, type Emitter } from './events.ts'
import type { Member, PresenceFrame, Refusal } from './frames.ts'
import type { ThreadWish } from './port.ts'

/** Above this many users the relay names nobody. */
const MOST_NAMED = 500

export type PresenceNews = Omit<PresenceFrame, 'op' | 'thread'>

/** A promise that is settled from outside, and whose rejection nobody has to handle. */
export interface Ready {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export function createReady(): Ready {
  let resolve!: Ready['resolve']
  let reject!: Ready['reject']
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => {})
  return { promise, resolve, reject }
}

/** What a page knows of a thread, whatever number of subscriptions it has to it. */
export interface Topic {
  readonly id: string
  wish: ThreadWish
  readonly emitter: Emitter
  readonly ready: Ready
  /** How many subscriptions the page has. */
  uses: number
  isJoined: boolean
  /** Whether a snapshot of who is there was asked for. */
  isAsking: boolean
  members: Map<string, Omit<Member, 'user'>> | undefined
  count: number
}

export const createTopic = (id: string, wish: ThreadWish): Topic => ({
  id,
  wish,
  emitter: createEmitter(),
  ready: createReady(),
  uses: 0,
  isJoined: false,
  isAsking: false,
  members: undefined,
  count: 0,
})

/** Takes a snapshot or a change of who is there. Returns whether a snapshot is needed, as the two do not fit. */
export function present(topic: Topic, { members, joined = [], left = [], count }: PresenceNews): boolean {
  const known = members ? new Map() : topic.members
  for (const { user, ...rest } of members ?? joined) if (!known?.has(user)) known?.set(user, rest)
  for (const user of left) known?.delete(user)
  topic.count = count
  topic.members = count > MOST_NAMED ? undefined : known
  if (members) topic.isAsking = false
  topic.emitter.emit('presence', { members: topic.members, count, joined, left })
  return !members && count <= MOST_NAMED && known?.size !== count
}

/** The thread is not allowed, or no longer. */
export function refuse({ ready, isJoined, emitter }: Topic, refused: Refusal): void {
  const error = new RelayError(refused)
  if (isJoined) emitter.emit('error', error)
  else ready.reject(error)
}
