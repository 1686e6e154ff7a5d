import type { ConnectionId } from '../protocol/ids.ts'

/**
 * What stands before a frame on the bus, all ASCII (the scripts write it):
 *
 *     1        version: a node that meets another drops the frame, and its clients notice by `prev`
 *     kind     o: an event in a chain, e: an ephemeral event, g: a gap, n: a notice, p: presence
 *     16       a number in decimal, zeros in front: the stamp, the head, the second of the notice, or a version
 *     3        length of the left-out connection's id, then the id
 */
const VERSION = 0x31
const STAMP_START = 2
const EXCEPT_START = 18
const ID_START = 21

export const GAP = 0x67 // g
export const NOTICE = 0x6e // n
export const PRESENCE = 0x70 // p

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
