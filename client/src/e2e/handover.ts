import { type Bytes, fromBase64url, pack, toBase64url } from './bytes.ts'
import { type Epoch, openEpoch, SECRET_BYTES } from './epoch.ts'
import { hpkeOpen, hpkeSeal, POINT_BYTES } from './hpke.ts'
import { type Device, type Identity, SIGNATURE_BYTES, sign, verified } from './identity.ts'

/** Hands the key of an epoch to devices; the origin stores it and gives it to every member like any event of the thread. */
export interface Handover {
  readonly v: 1
  readonly thread: string
  /** The number of the epoch, and the id of its key. */
  readonly n: number
  readonly kid: string
  /** The id of the device that hands over. */
  readonly from: string
  /** Every device that has the key, with the key sealed for it, or empty for one that was given it before. */
  readonly members: readonly (readonly [id: string, sealed: string])[]
  readonly s: string
}

type Unsigned = Omit<Handover, 's'>

const LABEL = 'throughline e2e 1 handover'
const SEALED_BYTES = POINT_BYTES + SECRET_BYTES + 16

/** Seals an epoch's key for `to` and signs the list of all who have it then. */
export async function makeHandover(
  thread: string,
  { n, kid, secret, roster }: Epoch,
  identity: Identity,
  from: string,
  to: readonly Device[],
): Promise<Handover> {
  const head = { v: 1, thread, n, kid, from } as const
  const sealed = await Promise.all(
    to.map(async device => [device.id, toBase64url(await hpkeSeal(device, infoOf(head, device.id), secret))] as const),
  )
  const members = new Map([...[...roster].map(id => [id, ''] as const), ...sealed])
  const unsigned = { ...head, members: [...members] }
  return { ...unsigned, s: toBase64url(await sign(identity, bytesOf(unsigned))) }
}

/** Returns undefined for what is no handover, names more devices, or is of one who does not have the key. */
export function readHandover(value: unknown, maxDevices: number): Handover | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, thread, n, kid, from, members, s } = value as Partial<Handover>
  if (v !== 1 || typeof thread !== 'string' || typeof kid !== 'string' || typeof from !== 'string') return undefined
  if (!Number.isSafeInteger(n) || n! < 1 || typeof s !== 'string' || !Array.isArray(members)) return undefined
  if (members.length > maxDevices || !members.every(isMember) || !members.some(([id]) => id === from)) return undefined
  return { v, thread, n: n!, kid, from, members, s }
}

/** Tells whether a value is an id with a sealed key or none. */
function isMember(value: unknown): value is [string, string] {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [id, sealed] = value as unknown[]
  return fromBase64url(id, 32) !== undefined && (sealed === '' || fromBase64url(sealed, SEALED_BYTES) !== undefined)
}

export async function signedBy(device: Device, handover: Handover): Promise<boolean> {
  const signature = fromBase64url(handover.s, SIGNATURE_BYTES)
  return signature !== undefined && (await verified(device, signature, bytesOf(handover)))
}

/** Returns what a handover has for a device; undefined or empty when it brings nothing. */
export function sealedFor(handover: Handover, device: Device): string | undefined {
  return handover.members.find(([id]) => id === device.id)?.[1]
}

/** Takes the key out that was sealed for this device; returns undefined when it is not the one that the handover names. */
export async function takeKey(
  handover: Handover,
  sealed: string,
  identity: Identity,
  own: Device,
): Promise<Epoch | undefined> {
  const { thread, n, kid, members } = handover
  try {
    const secret = await hpkeOpen(identity.decrypt, own.raw, infoOf(handover, own.id), fromBase64url(sealed)!)
    const epoch = await openEpoch(thread, n, secret, new Map(members).keys())
    return epoch.kid === kid ? epoch : undefined
  } catch {
    return undefined
  }
}

function infoOf({ thread, n, kid, from }: Omit<Unsigned, 'members'>, to: string): Bytes {
  return pack(LABEL, thread, String(n), kid, from, to)
}

function bytesOf({ thread, n, kid, from, members }: Unsigned): Bytes {
  return pack(LABEL, thread, String(n), kid, from, ...members.flat())
}
