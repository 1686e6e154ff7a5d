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
  readonly retry_after?: number | undefined
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

export type RelayFrame =
  | EventFrame
  | ({ readonly id?: number } & (
      | ConnectedFrame
      | SubscribedFrame
      | GapFrame
      | PresenceFrame
      | OnlineFrame
      | MembersFrame
      | { readonly op: 'status'; readonly bus: string }
      | { readonly op: 'drain'; readonly within: number }
      | { readonly op: 'refreshed'; readonly expires: number }
      | ({ readonly op: 'error' } & Refusal)
      | { readonly op: 'ping' | 'sent' | 'unsubscribed' }
    ))

/** What is looked at: of any frame. */
type Fields = Readonly<Record<keyof EventFrame | keyof ConnectedFrame, unknown>>

/**
 * Returns the frame, or undefined if it is none or lacks what the client keeps. What else may be wrong shows when it is
 * used, and does no harm.
 */
export function parseFrame(text: unknown): RelayFrame | undefined {
  try {
    const frame = JSON.parse(text as string) as RelayFrame
    const { op, id, type, own, chain, stamp, prev, connection, expires } = frame as Fields
    const isSound =
      op === 'event'
        ? isText(id) && (own || isText(type)) && (chain ? isText(chain) && isNumber(stamp) && isNumber(prev) : !own)
        : op !== 'connected' || (isText(connection) && isNumber(expires))
    if (isText(op) && isSound) return frame
  } catch {
    // Told by the caller.
  }
  return undefined
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isNumber = Number.isFinite
