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
