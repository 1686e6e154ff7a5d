import type { ConnectionId, UserId } from '../protocol/ids.ts'
import type { Recipients } from './bus.ts'

/**
 * What stands before a frame on the bus, all ASCII (the scripts write it):
 *
 *     1        version: a node that meets another drops the frame, and its clients notice by `prev`
 *     kind     o: an event in a chain, e: an ephemeral event, g: a gap, n: a notice, p: presence,
 *              u, c: an event for a user's or for one connection
 *     16       a number in decimal, zeros in front: the stamp, the head, the second of the notice, or a version
 *     3        length of an id, then the id: of the left-out connection, or of who it is for (u: "USER CONNECTION", with
 *              the left-out one). Of a traced event its trace follows, after a space (hub/trace.ts)
 */
const VERSION = 0x31
const STAMP_START = 2
const EXCEPT_START = 18
const ID_START = 21

export const GAP = 0x67 // g
export const NOTICE = 0x6e // n
export const PRESENCE = 0x70 // p
export const TO_USER = 0x75 // u
export const TO_CONNECTION = 0x63 // c

const NO_STAMP = '0'.repeat(16)

export interface BusFrame {
  readonly kind: number
  readonly number: number
  readonly except: ConnectionId | undefined
  /** Shares memory with the message. */
  readonly frame: Buffer
}

export function exceptField(except: ConnectionId | undefined): string {
  return except === undefined ? '000' : `${String(except.length).padStart(3, '0')}${except}`
}

/** Returns a frame without a stamp with what stands before it on the bus. */
export function writeBusFrame(frame: Buffer, to: Recipients): Buffer {
  return Buffer.concat([Buffer.from(prefix(to), 'latin1'), frame])
}

/** Returns who a frame of kind TO_USER or TO_CONNECTION is for; `id` is what stands before it. */
export function readRecipients(kind: number, id: string): Recipients {
  if (kind === TO_CONNECTION) return { connection: id as ConnectionId }
  const [user, except] = id.split(' ') as [UserId, ConnectionId?]
  return except === undefined ? { user } : { user, except }
}

function prefix(to: Recipients): string {
  if ('connection' in to) return `1c${NO_STAMP}${exceptField(to.connection)}`
  if (!('user' in to)) return `1e${NO_STAMP}${exceptField(to.except)}`
  const id = to.except === undefined ? to.user : `${to.user} ${to.except}`
  return `1u${NO_STAMP}${exceptField(id as ConnectionId)}`
}

/** Returns undefined for another version's frame. Reads the prefix only: what follows goes out as it came (DESIGN §3). */
export function readBusFrame(message: Buffer): BusFrame | undefined {
  if (message[0] !== VERSION) return undefined
  const start = ID_START + digits(message, EXCEPT_START, ID_START)
  return {
    kind: message[1]!,
    number: digits(message, STAMP_START, EXCEPT_START),
    except: start === ID_START ? undefined : (message.toString('latin1', ID_START, start) as ConnectionId),
    frame: message.subarray(start),
  }
}

function digits(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) value = value * 10 + bytes[i]! - 0x30
  return value
}
