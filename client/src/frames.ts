/** The relay's frames as far as the client reads them: docs/protocol.md. What is not named here is ignored. */

/** A chain's entry in `connected` and `subscribed`. */
export interface ChainEntry {
  readonly head: number
  readonly state: string
  readonly within?: number
}

export interface EventFrame {
  readonly op: 'event'
  readonly id: string
  readonly type?: string
  readonly thread?: string
  readonly at?: number
  readonly data?: unknown
  readonly chain?: string
  readonly stamp?: number
  readonly prev?: number
  readonly sender?: Sender
  readonly receipt?: string
  readonly own?: true
}

export interface Sender {
  readonly user: string
  readonly connection: string
}

/** Somebody in a thread; `info` is what the token says of the user. */
export interface Member {
  readonly user: string
  readonly info?: unknown
  readonly connections?: number
}

export interface GapFrame {
  readonly op: 'gap'
  readonly chains: Readonly<Record<string, number>>
  readonly within?: number
}

/** A snapshot has `members`, a change `joined` and `left`. */
export interface PresenceFrame {
  readonly op: 'presence'
  readonly thread: string
  readonly members?: readonly Member[]
  readonly joined?: readonly Member[]
  readonly left?: readonly string[]
  readonly count: number
}

export interface OnlineFrame {
  readonly op: 'online'
  readonly users: Readonly<Record<string, boolean>>
}

export interface MembersFrame {
  readonly op: 'members'
  readonly thread: string
  readonly perms: readonly string[]
}

export interface Refusal {
  readonly code: string
  readonly message: string
  readonly retry_after?: number
}

export interface ConnectedFrame {
  readonly op: 'connected'
  readonly connection: string
  readonly user: string
  readonly expires: number
  readonly heartbeat: number
  readonly chains: Readonly<Record<string, ChainEntry>>
}

export interface SubscribedFrame {
  readonly op: 'subscribed'
  readonly chains: Readonly<Record<string, ChainEntry>>
  readonly presence?: Readonly<Record<string, PresenceFrame>>
  readonly refused?: Readonly<Record<string, Refusal>>
}

export type RelayFrame = { readonly id?: number | string } & (
  | ConnectedFrame
  | SubscribedFrame
  | EventFrame
  | GapFrame
  | PresenceFrame
  | OnlineFrame
  | MembersFrame
  | { readonly op: 'status'; readonly bus: string }
  | { readonly op: 'drain'; readonly within: number }
  | { readonly op: 'refreshed'; readonly expires: number }
  | ({ readonly op: 'error' } & Refusal)
  | { readonly op: 'ping' | 'sent' | 'unsubscribed' }
)

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null
const isNumber = (value: unknown): boolean => Number.isFinite(value)
const isString = (value: unknown): boolean => typeof value === 'string'
const isEntry = (value: unknown): boolean => isObject(value) && isNumber(value['head'])
const isMember = (value: unknown): boolean => isObject(value) && isString(value['user'])
const isRefusal = (value: unknown): boolean => isObject(value) && isString(value['code'])
const isPresence = (value: unknown): boolean =>
  isObject(value) &&
  isNumber(value['count']) &&
  allOf(value['members'] ?? [], isMember) &&
  allOf(value['joined'] ?? [], isMember) &&
  allOf(value['left'] ?? [], isString)

function allOf(value: unknown, test: (value: unknown) => boolean): boolean {
  return isObject(value) && Object.values(value).every(test)
}

/** What a frame must have to do no harm; ops that are not here have nothing that could. */
const CHECKS: Readonly<Record<string, (frame: Fields) => boolean>> = {
  connected: ({ connection, user, expires, heartbeat, chains }) =>
    isString(connection) && isString(user) && isNumber(expires) && isNumber(heartbeat) && allOf(chains, isEntry),
  subscribed: ({ chains, presence = {}, refused = {} }) =>
    allOf(chains, isEntry) && allOf(presence, isPresence) && allOf(refused, isRefusal),
  refreshed: ({ expires }) => isNumber(expires),
  event: ({ id, type, own, chain, stamp, prev }) =>
    isString(id) &&
    (isString(type) || own === true) &&
    (chain === undefined ? own === undefined : isString(chain) && isNumber(stamp) && isNumber(prev)),
  gap: ({ chains }) => allOf(chains, isNumber),
  presence: frame => isString(frame['thread']) && isPresence(frame),
  online: ({ users }) => isObject(users),
  members: ({ thread, perms }) => isString(thread) && Array.isArray(perms),
  error: isRefusal,
}

/** Returns the frame, or undefined if it is none or lacks what the client relies on. */
export function parseFrame(text: unknown): RelayFrame | undefined {
  try {
    const frame = JSON.parse(text as string) as unknown
    if (isObject(frame) && isString(frame['op'])) {
      const check = Object.hasOwn(CHECKS, frame['op'] as string) && CHECKS[frame['op'] as string]
      if (!check || check(frame)) return frame as unknown as RelayFrame
    }
  } catch {
    // Told by the caller.
  }
  return undefined
}
