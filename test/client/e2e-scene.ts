import assert from 'node:assert/strict'
import {
  createCipheriv,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  sign,
} from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import {
  createIdentity,
  type Envelope,
  type Handover,
  type Identity,
  openThread,
  type PublicIdentity,
  type SealedThread,
} from '@throughline/client/e2e'

export const HPKE = new URL('../../../client/dist/e2e/hpke.js', import.meta.url).href
export type Hpke = typeof import('../../client/dist/e2e/hpke.js')

/** One device of a test, with its view of the thread. */
export interface Person {
  readonly user: string
  readonly identity: Identity
  readonly public: PublicIdentity
  readonly thread: SealedThread
}

/** Opens a thread on a device of each user, who all know each other and have no key yet. */
export async function openPeople(thread: string, ...users: string[]): Promise<Person[]> {
  const identities = await Promise.all(users.map(createIdentity))
  const members = identities.map(identity => identity.public)
  return Promise.all(identities.map(identity => openPerson(thread, identity, members)))
}

export async function openPerson(thread: string, identity: Identity, members: PublicIdentity[]): Promise<Person> {
  const opened = await openThread({ thread, identity, members })
  return { user: identity.public.user, identity, public: identity.public, thread: opened }
}

/** Opens a thread with a key that all have. */
export async function openGroup(thread: string, ...users: string[]): Promise<Person[]> {
  const people = await openPeople(thread, ...users)
  await tell(people[0]!, await people[0]!.thread.rotate(), people)
  return people
}

/** Lets people accept what one of them hands over. */
export async function tell(giver: Person, handover: Handover | undefined, people: readonly Person[]): Promise<void> {
  for (const { thread } of people) {
    const { ok } = await thread.accept(overTheWire(handover), { sender: giver.user })
    assert.ok(ok)
  }
}

/** What a value is after the relay and the origin had it as JSON. */
export function overTheWire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** Joins fields as docs/end-to-end-encryption.md says, without the code under test. */
export function pack(...fields: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    fields.flatMap(field => {
      const bytes = Buffer.from(field as string)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}

export function idOf({ user, enc, sig }: PublicIdentity): string {
  return createHash('sha256')
    .update(pack('throughline e2e 1 identity', user, enc, sig))
    .digest('base64url')
}

export function kidOf(thread: string, n: number, secret: Uint8Array): string {
  return base64url(hkdf(secret, Buffer.alloc(0), pack('throughline e2e 1 key id', thread, String(n))))
}

export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, 32))
}

export const signature = (key: KeyObject, bytes: Uint8Array): Buffer =>
  sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' })

/** A device whose private keys a test can use as it likes. */
export interface Hacker {
  readonly identity: Identity
  readonly signingKey: KeyObject
}

export async function openHacker(user: string): Promise<Hacker> {
  const [enc, sig] = [0, 1].map(() =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  )
  return {
    identity: await importIdentity(user, enc!, sig!),
    signingKey: createPrivateKey({ key: sig!, format: 'jwk' }),
  }
}

export async function importIdentity(user: string, enc: JsonWebKey, sig: JsonWebKey): Promise<Identity> {
  const curve = { namedCurve: 'P-256' }
  return {
    public: { v: 1, user, enc: pointOf(enc), sig: pointOf(sig) },
    decrypt: await crypto.subtle.importKey('jwk', enc, { name: 'ECDH', ...curve }, false, ['deriveBits']),
    sign: await crypto.subtle.importKey('jwk', sig, { name: 'ECDSA', ...curve }, false, ['sign']),
  }
}

function pointOf({ x, y }: JsonWebKey): string {
  return base64url(Buffer.concat([Buffer.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]))
}

interface Forgery {
  readonly thread: string
  readonly kid: string
  readonly secret: Uint8Array
  readonly from: string
  readonly type: string
  readonly signingKey: KeyObject
  readonly body?: string
  readonly nonce?: Uint8Array
}

/** Seals with node:crypto whatever one who has the key likes. */
export function forge(forgery: Forgery): Envelope {
  const { thread, kid, secret, from, type, signingKey, body = '[1,"forged"]', nonce = randomBytes(24) } = forgery
  const label = 'throughline e2e 1 envelope'
  const bound = pack(label, thread, type, from, kid, nonce)
  const cipher = createCipheriv('aes-256-gcm', hkdf(secret, nonce, pack(label)), Buffer.alloc(12)).setAAD(bound)
  const signed = signature(signingKey, Buffer.concat([bound, Buffer.from(body)]))
  const c = Buffer.concat([cipher.update(signed), cipher.update(body), cipher.final(), cipher.getAuthTag()])
  return { v: 1, kid, from, n: base64url(nonce), c: base64url(c) }
}

/** The key in use on a device, as its state has it. */
export function keyOf({ thread }: Person): { thread: string; kid: string; n: number; secret: Buffer } {
  const epochs = thread.export().epochs.map(({ n, secret }) => ({ n, secret: Buffer.from(secret, 'base64url') }))
  const { n, secret } = epochs.find(({ n, secret }) => kidOf(thread.thread, n, secret) === thread.kid)!
  return { thread: thread.thread, kid: thread.kid!, n, secret }
}
