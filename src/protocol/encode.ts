import type { ConnectionId, EventId, EventType, ThreadId, UserId } from './ids.ts'

/**
 * A frame but for its stamps: `before` + stamp + `,"prev":` + prev + `after` + data + `}`. The bus splices them in where
 * it makes them, so a frame is encoded once, on the node that accepts the event (DESIGN §3). An ephemeral frame is all
 * that without stamp and prev.
 */
export interface FramePieces {
  /** ASCII, as `after` is. */
  readonly before: string
  readonly after: string
  readonly data: Buffer
}

export interface OriginEvent {
  readonly id: EventId
  readonly type: EventType
  readonly thread: ThreadId | undefined
  /** Milliseconds since the epoch. */
  readonly at: number
  /** The sealed return address, if somebody is to be told of the delivery. */
  readonly receipt: string | undefined
  /** The exact bytes that the origin sent. */
  readonly data: Buffer
}

const OWN = Buffer.from(',"own":true}', 'latin1')
const TYPE = ',"type":'

/**
 * Returns the pieces of an event in a chain. `id` stands before `type`, so that the frame up to `type` is also the
 * frame for the left-out connection (see ownFrame). Ids and types need no JSON escaping: see their alphabet in ids.ts.
 */
export function chainedFrame(chain: string, event: OriginEvent): FramePieces {
  return { before: `{"op":"event","chain":"${chain}","stamp":`, after: afterStamps(event), data: event.data }
}

/** Returns the pieces of an event that has no place in a chain. */
export function ephemeralFrame(event: OriginEvent): FramePieces {
  return { before: '{"op":"event"', after: afterStamps(event), data: event.data }
}

/** Returns what the connection that an event leaves out is sent, to keep its chain whole: no type, no thread, no data (CONTRACT 1). */
export function ownFrame(frame: Buffer): Buffer {
  return Buffer.concat([frame.subarray(0, frame.indexOf(TYPE)), OWN])
}

function afterStamps({ id, type, thread, at, receipt }: OriginEvent): string {
  const about = thread === undefined ? '' : `,"thread":"${thread}"`
  const back = receipt === undefined ? '' : `,"receipt":"${receipt}"`
  return `,"id":"${id}"${TYPE}"${type}"${about},"at":${at}${back},"data":`
}

/** Returns the whole frame; 0 as its stamp stands for none. */
export function writeFrame({ before, after, data }: FramePieces, stamp: number, prev: number): Buffer {
  return close(stamp === 0 ? `${before}${after}` : `${before}${stamp},"prev":${prev}${after}`, data)
}

/** Returns what follows the stamps, for those who splice elsewhere. */
export function writeAfter({ after, data }: FramePieces): Buffer {
  return close(after, data)
}

function close(start: string, data: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(start.length + data.length + 1)
  bytes.write(start, 0, 'latin1')
  data.copy(bytes, start.length)
  bytes[bytes.length - 1] = 0x7d // }
  return bytes
}

/** Returns the frame that tells a chain's clients of a loss that the relay itself noticed (CONTRACT 5). */
export function gapFrame(chain: string, head: number, within: number): Buffer {
  return Buffer.from(`{"op":"gap","chains":{"${chain}":${head}},"within":${within}}`, 'latin1')
}

/** Returns the frame that tells who came to a thread and who went. `info` is JSON. */
export function presenceFrame(
  thread: ThreadId,
  joined: readonly { readonly user: UserId; readonly info: string | undefined }[],
  left: readonly UserId[],
  count: number,
): Buffer {
  const came = joined.map(({ user, info }) => `{"user":"${user}"${info === undefined ? '' : `,"info":${info}`}}`)
  const names = `"joined":[${came.join()}],"left":${JSON.stringify(left)}`
  return Buffer.from(`{"op":"presence","thread":"${thread}",${names},"count":${count}}`)
}

export function onlineFrame(user: UserId, online: boolean): Buffer {
  return Buffer.from(`{"op":"online","users":{"${user}":${online}}}`, 'latin1')
}

export interface ClientEvent {
  readonly id: EventId
  readonly type: EventType
  readonly thread: ThreadId
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly sender: { readonly user: UserId; readonly connection: ConnectionId }
  /** The exact bytes that the client sent. */
  readonly data: Buffer
}

/** Returns the frame of an event that a client sent: without a stamp, and with its sender (CONTRACT 21). */
export function clientFrame({ id, type, thread, at, sender, data }: ClientEvent): Buffer {
  const head =
    `{"op":"event","id":"${id}","type":"${type}","thread":"${thread}","at":${at},` +
    `"sender":{"user":"${sender.user}","connection":"${sender.connection}"},"data":`
  return Buffer.concat([Buffer.from(head, 'latin1'), data, CLOSING])
}

const CLOSING = Buffer.from('}')

/**
 * Returns the frame that tells a sender what another user has got, around the list of event ids (CONTRACT 22): `before` +
 * `"1","2"` + `after`.
 */
export function deliveredFrame(
  id: EventId,
  thread: ThreadId | undefined,
  at: number,
  user: UserId,
): { before: string; after: string } {
  const about = thread === undefined ? '' : `,"thread":"${thread}"`
  return {
    before: `{"op":"event","id":"${id}","type":"delivered"${about},"at":${at},"data":{"ids":[`,
    after: `],"user":"${user}"}}`,
  }
}
