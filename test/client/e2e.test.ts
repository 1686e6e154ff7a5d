import { createDecipheriv, createECDH, verify } from 'node:crypto'
import type { JsonWebKey, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  createIdentity,
  type Envelope,
  fingerprint,
  type Handover,
  type Identity,
  openThread,
  type PublicIdentity,
  REFUSALS,
} from '@throughline/client/e2e'
import t from 'tap'
import { base64url, HPKE, type Hpke, hkdf, idOf, importIdentity, keyOf, openGroup } from './e2e-scene.ts'
import { openPeople, openPerson, overTheWire, pack, type Person, tell } from './e2e-scene.ts'

const ROOT = new URL('../../../', import.meta.url)

function vectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`test/vectors/${name}.json`, ROOT), 'utf8'))
}

interface Vectors {
  readonly devices: readonly {
    readonly public: PublicIdentity
    readonly id: string
    readonly fingerprint: string
    readonly decrypt: JsonWebKey
    readonly sign: JsonWebKey
  }[]
  readonly secret: string
  readonly handover: Handover
  readonly envelopes: readonly { sender: string; type: string; at: number; value: unknown; envelope: Envelope }[]
}

type Field = 'info' | 'skRm' | 'skEm' | 'pkRm' | 'pkEm' | 'enc' | 'aad' | 'pt' | 'ct'

const EPOCH = new URL('client/dist/e2e/epoch.js', ROOT).href
const python = vectors('e2e') as Vectors

/** Opens the vectors' thread as each of their devices. */
async function openVectors(): Promise<Person[]> {
  const identities: Identity[] = await Promise.all(
    python.devices.map(({ public: { user }, decrypt, sign }) => importIdentity(user, decrypt, sign)),
  )
  return Promise.all(
    identities.map(identity =>
      openPerson(
        '42',
        identity,
        identities.map(one => one.public),
      ),
    ),
  )
}

await t.test('a key is sealed for its holder as in the test vectors of RFC 9180', async t => {
  const { hpkeOpen, hpkeSeal, importPoint, P256 } = (await import(HPKE)) as Hpke
  const vector = vectors('hpke-rfc9180') as Record<Field, string>
  const bytes = (name: Field): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(vector[name], 'hex'))
  const importPrivate = (name: 'skRm' | 'skEm'): Promise<webcrypto.CryptoKey> => {
    const ecdh = createECDH('prime256v1')
    ecdh.setPrivateKey(bytes(name))
    const point = ecdh.getPublicKey()
    const [x, y, d] = [point.subarray(1, 33), point.subarray(33), ecdh.getPrivateKey()].map(base64url)
    return crypto.subtle.importKey('jwk', { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d! }, P256, false, ['deriveBits'])
  }
  const recipient = { key: await importPoint(bytes('pkRm'), P256, []), raw: bytes('pkRm') }
  const privateKey = await importPrivate('skEm')
  const ephemeral = { publicKey: await importPoint(bytes('pkEm'), P256, []), privateKey }
  const sealed = await hpkeSeal(recipient, bytes('info'), bytes('pt'), bytes('aad'), ephemeral)
  t.equal(Buffer.from(sealed).toString('hex'), vector.enc + vector.ct)
  const opened = await hpkeOpen(await importPrivate('skRm'), recipient.raw, bytes('info'), sealed, bytes('aad'))
  t.equal(Buffer.from(opened).toString('hex'), vector.pt)
})

await t.test('what another implementation made from the documents is taken', async t => {
  for (const { public: identity, id, ...more } of python.devices) {
    t.equal(idOf(identity), id)
    t.equal(await fingerprint(identity), more.fingerprint)
  }
  const { handover } = python
  for (const { thread } of await openVectors()) {
    t.strictSame(await thread.accept(handover, { sender: '7' }), { ok: true, kid: handover.kid, strangers: [] })
    t.equal(thread.kid, handover.kid)
    for (const { envelope, sender, type, at, value } of python.envelopes) {
      t.match(await thread.open(envelope, { sender, type }), { ok: true, value, at, sender: { user: sender } })
    }
  }
})

await t.test('what is sealed can be opened by another implementation', async t => {
  const [ada, ben] = await openGroup('42', 'ada', 'ben')
  const { kid, from, n, c } = await ada!.thread.seal('message', { text: 'hello' })
  const [nonce, cipher] = [Buffer.from(n, 'base64url'), Buffer.from(c, 'base64url')]
  const label = 'throughline e2e 1 envelope'
  const bound = pack(label, '42', 'message', idOf(ada!.public), kid, nonce)
  const key = hkdf(keyOf(ben!).secret, nonce, pack(label))
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(bound)
  decipher.setAuthTag(cipher.subarray(-16))
  const plain = Buffer.concat([decipher.update(cipher.subarray(0, -16)), decipher.final()])
  const body = plain.subarray(64)
  const [x, y] = [1, 33].map(at => base64url(Buffer.from(ada!.public.sig, 'base64url').subarray(at, at + 32)))
  const publicKey = { kty: 'EC', crv: 'P-256', x: x!, y: y! }
  const signer = { key: publicKey, format: 'jwk', dsaEncoding: 'ieee-p1363' } as const
  t.ok(verify('sha256', Buffer.concat([bound, body]), signer, plain.subarray(0, 64)))
  t.match(JSON.parse(body.toString()), [Number, { text: 'hello' }])
  t.equal(from, idOf(ada!.public))
})

await t.test('every member opens what one seals, and the envelope tells nothing of it', async t => {
  const people = await openGroup('42', '1', '2', '3')
  const values = [{ text: 'a secret', list: [1.5, null, true] }, 'Grüße 👋', null, 0, [], '__proto__']
  for (const value of values) {
    const before = Date.now()
    const envelope = overTheWire(await people[1]!.thread.seal('message', value))
    t.strictSame(Object.keys(envelope), ['v', 'kid', 'from', 'n', 'c'])
    for (const { thread } of people) {
      const opened = await thread.open(envelope, { sender: '2', type: 'message' })
      t.match(opened, { ok: true, sender: people[1]!.public })
      t.strictSame(opened.ok && opened.value, value)
      t.ok(opened.ok && opened.at >= before && opened.at <= Date.now())
    }
  }
  const [yes, no] = [await people[0]!.thread.seal('m', 'yes'), await people[0]!.thread.seal('m', 'n'.repeat(200))]
  t.equal(yes.c.length, no.c.length, 'not even the size of a short one')
  t.not(yes.n, no.n)
})

await t.test('private keys cannot be read, and fingerprints differ', async t => {
  const [one, other] = await Promise.all([createIdentity('7'), createIdentity('7')])
  await t.rejects(crypto.subtle.exportKey('pkcs8', one.decrypt), /extractable/)
  await t.rejects(crypto.subtle.exportKey('pkcs8', one.sign), /extractable/)
  t.match(await fingerprint(one.public), /^(\d{5} ){11}\d{5}$/)
  t.not(await fingerprint(one.public), await fingerprint(other.public))
  t.not(await fingerprint(one.public), await fingerprint({ ...one.public, user: '8' }))
})

await t.test('a new member reads what follows, and what was before only if it is given that key', async t => {
  const people = await openGroup('42', '1', '2')
  const [ada, ben] = people as [Person, Person]
  const before = await ada.thread.seal('m', 'before')
  const expected = { sender: '1', type: 'm' }
  for (const past of [false, true]) {
    const identity = await createIdentity(past ? '4' : '3')
    const handover = await ada.thread.add([identity.public], { past })
    await ben.thread.admit(identity.public)
    const newcomer = await openPerson(
      '42',
      identity,
      [...people, { public: identity.public }].map(one => one.public),
    )
    const middle = await ada.thread.seal('m', 'middle')
    await tell(ada, handover, [...people, newcomer])
    people.push(newcomer)
    const after = await ben.thread.seal('m', 'after')
    t.match(await newcomer.thread.open(before, expected), { ok: false, code: 'unknown_key' })
    t.match(await newcomer.thread.open(middle, expected), past ? { ok: true } : { code: 'unknown_key' })
    t.match(await newcomer.thread.open(after, { sender: '2', type: 'm' }), { ok: true, value: 'after' })
    t.equal(newcomer.thread.kid, ben.thread.kid)
  }
  t.equal(await ada.thread.share(), undefined, 'nobody misses the key')
})

await t.test(
  'a removed member reads nothing that is sealed after, and nothing is sealed before there is a new key',
  async t => {
    const [ada, ben, eve] = (await openGroup('42', '1', '2', '3')) as [Person, Person, Person]
    const handover = await ada.thread.remove('3')
    await ben.thread.dismiss('3')
    for (const { thread } of [ada, ben]) {
      t.equal(thread.kid, undefined)
      await t.rejects(thread.seal('m', 1), { code: 'no_key', message: /accept a handover, or make one by rotate/ })
    }
    await tell(ada, handover, [ada, ben])
    t.match(await eve.thread.accept(handover, { sender: '1' }), { code: 'not_for_this_device' })
    const envelope = await ben.thread.seal('m', 'without eve')
    t.match(await ada.thread.open(envelope, { sender: '2', type: 'm' }), { ok: true, value: 'without eve' })
    t.match(await eve.thread.open(envelope, { sender: '2', type: 'm' }), { code: 'unknown_key' })
  },
)

await t.test('one device of a user can be put out', async t => {
  const [ada, phone, laptop] = (await openGroup('42', '1', '2', '2')) as [Person, Person, Person]
  await tell(ada, await ada.thread.remove(phone.public), [ada, laptop].slice(0, 1))
  await laptop.thread.dismiss(phone.public)
  t.match(await laptop.thread.open(await ada.thread.seal('m', 1), { sender: '1', type: 'm' }), { code: 'unknown_key' })
  t.strictSame(ada.thread.missing, [], 'the laptop was given the key')
})

await t.test(
  'members who make keys at the same time end with the same one, and open what was sealed with the other',
  async t => {
    const people = await openGroup('42', '1', '2', '3')
    const [ada, ben, cem] = people as [Person, Person, Person]
    const [fromAda, fromBen] = [await ada.thread.rotate(), await ben.thread.rotate()]
    await tell(ada, fromAda, [ada])
    await tell(ben, fromBen, [ben])
    const envelopes = [await ada.thread.seal('m', 'a'), await ben.thread.seal('m', 'b')]
    await tell(ben, fromBen, [ada, cem])
    await tell(ada, fromAda, [ben, cem])
    t.equal(new Set(people.map(({ thread }) => thread.kid)).size, 1)
    for (const { thread } of people) {
      t.match(await thread.open(envelopes[0], { sender: '1', type: 'm' }), { ok: true, value: 'a' })
      t.match(await thread.open(envelopes[1], { sender: '2', type: 'm' }), { ok: true, value: 'b' })
    }
  },
)

await t.test(
  'of keys that are made at the same time all choose the one that more have, then the smaller id',
  async t => {
    const { pick } = (await import(EPOCH)) as typeof import('../../client/dist/e2e/epoch.js')
    const epoch = (kid: string, n: number, ...roster: string[]) => ({ kid, n, roster: new Set(roster) }) as never
    const epochs = [epoch('b', 2, '1', '2'), epoch('c', 2, '1', '2'), epoch('a', 2, '1'), epoch('d', 1, '1', '2')]
    for (const order of [epochs, epochs.toReversed()]) {
      t.equal(pick(order, new Set(['1', '2', '3']), 0)?.kid, 'b')
      t.equal(pick(order, new Set(['1']), 0)?.kid, 'a')
      t.equal(pick(order, new Set(['1', '2']), 3), undefined)
    }
  },
)

await t.test('one adds and one removes at the same time: nobody seals for the removed one, and all settle', async t => {
  const [ada, ben, eve] = (await openGroup('42', '1', '2', '3')) as [Person, Person, Person]
  const identity = await createIdentity('4')
  const dan = await openPerson(
    '42',
    identity,
    [ada, ben, { public: identity.public }].map(one => one.public),
  )
  const removal = await ada.thread.remove('3')
  const addition = await ben.thread.add([identity.public])
  // Each learns of its own first.
  await tell(ada, removal, [ada])
  await tell(ben, addition, [ben, eve])
  t.match(await ada.thread.accept(addition, { sender: '2' }), { ok: true, strangers: [String, String] })
  t.equal(ada.thread.kid, removal.kid, 'the other key is known to eve')
  await dan.thread.accept(addition, { sender: '2' })
  t.equal(dan.thread.kid, undefined, 'to dan eve never was a member')
  await tell(ada, removal, [ben])
  await ben.thread.dismiss('3')
  t.equal(ben.thread.kid, removal.kid)
  await ada.thread.admit(identity.public)
  t.strictSame(ada.thread.missing, [identity.public])
  await tell(ada, await ada.thread.share(), [ada, ben, dan])
  t.strictSame(
    [ada, ben, dan].map(({ thread }) => thread.kid),
    Array(3).fill(removal.kid),
  )
  t.match(await eve.thread.open(await dan.thread.seal('m', 1), { sender: '4', type: 'm' }), { code: 'unknown_sender' })
})

await t.test('nothing is sealed with a key that was handed to one who is no member here', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const { public: stranger } = await createIdentity('3')
  const handover = await ben.thread.add([stranger], { past: true })
  t.match(await ada.thread.accept(handover, { sender: '2' }), { ok: true, strangers: [idOf(stranger)] })
  await t.rejects(ada.thread.seal('m', 1), { code: 'no_key' })
  await ada.thread.admit(stranger)
  t.equal(ada.thread.kid, handover!.kid)
  await t.resolves(ada.thread.seal('m', 1))
})

await t.test('a thread is whole again from its state, or from the handovers that the origin has', async t => {
  const [ada, ben, eve] = (await openGroup('42', '1', '2', '3')) as [Person, Person, Person]
  const first = await eve.thread.rotate()
  await tell(eve, first, [ada, ben, eve])
  const old = await eve.thread.seal('m', 'of eve')
  const second = await ada.thread.remove('3')
  await ben.thread.dismiss('3')
  await tell(ada, second, [ada, ben])
  const fresh = await ada.thread.seal('m', 'of ada')

  const { identity } = ben
  const members = [ada.public]
  const reopened = await openThread({ thread: '42', identity, members, state: overTheWire(ben.thread.export()) })
  const rebuilt = await openThread({ thread: '42', identity, members, former: [eve.public] })
  t.match(await rebuilt.accept(first, { sender: '3' }), { ok: true, strangers: [idOf(eve.public)] })
  t.match(await rebuilt.accept(second, { sender: '1' }), { ok: true, strangers: [] })
  for (const thread of [reopened, rebuilt]) {
    t.equal(thread.kid, second.kid)
    t.match(await thread.open(fresh, { sender: '1', type: 'm' }), { ok: true, value: 'of ada' })
    t.match(await thread.open(old, { sender: '3', type: 'm' }), { code: 'not_member' })
    t.match(await thread.open(old, { sender: '3', type: 'm', past: true }), { ok: true, value: 'of eve' })
  }
})

await t.test('what cannot be done is refused with a code and what to do', async t => {
  const [ada] = (await openPeople('42', '1')) as [Person]
  const { thread, identity } = ada
  await t.rejects(thread.seal('m', 1), { code: 'no_key' })
  await tell(ada, await thread.rotate(), [ada])
  const tooLarge = { code: 'too_large', message: /^Sealed it has \d+ bytes, and 16384 are allowed: seal less\.$/ }
  await t.rejects(thread.seal('m', 'x'.repeat(13_000), { maxBytes: 16_384 }), tooLarge)
  await t.rejects(thread.seal('m', 'x'.repeat(65_536)), { code: 'too_large' })
  for (const length of [10, 300, 5000, 40_000]) {
    const size = JSON.stringify(await thread.seal('m', 'x'.repeat(length))).length
    await t.resolves(thread.seal('m', 'x'.repeat(length), { maxBytes: size }), 'to the byte')
    await t.rejects(thread.seal('m', 'x'.repeat(length), { maxBytes: size - 1 }), { code: 'too_large' })
  }
  const good = identity.public
  const hybrid = Buffer.from(good.enc, 'base64url')
  hybrid[0] = 6 + (hybrid[64]! & 1)
  const point = `BA${good.enc.slice(2, -4)}AAAA`
  for (const bad of [
    { ...good, v: 2 as never },
    { ...good, user: '' },
    { ...good, user: 'x'.repeat(129) },
    { ...good, enc: good.enc.slice(1) },
    { ...good, enc: point },
    { ...good, enc: base64url(hybrid) },
    { ...good, sig: point },
    { ...good, sig: `A${good.sig.slice(1)}` },
  ]) {
    await t.rejects(thread.admit(bad), { code: 'bad_identity' }, JSON.stringify(bad))
  }
  await t.rejects(createIdentity(''), { code: 'bad_identity' })
  const state = thread.export()
  const open = { identity, members: [] }
  await t.rejects(openThread({ ...open, thread: '43', state }), { code: 'bad_state' })
  const damaged = { ...state, epochs: [{ ...state.epochs[0]!, secret: 'AA' }] }
  await t.rejects(openThread({ ...open, thread: '42', state: damaged }), { code: 'bad_state' })
  const devices = Array.from({ length: 256 }, (_, i) => ({ ...good, user: String(i + 2) }))
  await t.rejects(thread.admit(...devices), { code: 'too_many', message: /at most 256 devices/ })
  await thread.admit(...devices.slice(1))
  const size = JSON.stringify(await thread.rotate()).length
  t.ok(size <= 65_536, `the largest handover is an event of ${size} bytes`)
  await thread.dismiss('1')
  await t.rejects(thread.rotate(), { code: 'not_member' })
})

await t.test('end-to-end-encryption.md has every refusal with its code, and no other', async t => {
  const page = readFileSync(new URL('docs/end-to-end-encryption.md', ROOT), 'utf8')
  const section = page.split(/^## /m).find(part => part.startsWith('Refusals\n'))!
  const codes = [...section.matchAll(/^\| `([a-z_]+)` \| \S/gm)].map(([, code]) => code)
  t.strictSame(codes, Object.keys(REFUSALS))
})
