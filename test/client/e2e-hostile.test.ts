import { randomBytes } from 'node:crypto'
import { createIdentity, type Handover, openThread, type RefusalCode } from '@throughline/client/e2e'
import t from 'tap'
import { base64url, forge, HPKE, type Hacker, type Hpke, idOf, keyOf, kidOf, openGroup } from './e2e-scene.ts'
import { openHacker, openPerson, overTheWire, pack, type Person, signature, tell } from './e2e-scene.ts'

t.setTimeout(300_000)

const { hpkeSeal, importPoint, P256 } = (await import(HPKE)) as Hpke
const EXPECTED = { sender: '1', type: 'm' }

/** A thread of two honest people and one who has the key as well and keeps to no rule. */
async function openWithMallory(): Promise<{ ada: Person; ben: Person; mallory: Person & Hacker }> {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const hacker = await openHacker('6')
  const person = await openPerson('42', hacker.identity, [ada.public, ben.public])
  const handover = await ada.thread.add([person.public])
  await ben.thread.admit(person.public)
  await tell(ada, handover, [ada, ben, person])
  return { ada, ben, mallory: { ...person, ...hacker } }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** A text with each character changed, one that is shorter, and one whose end may stand for the same bytes. */
function* damaged(text: string): Generator<string> {
  yield text.slice(0, -1)
  yield text.slice(0, -1) + BASE64URL[(BASE64URL.indexOf(text.at(-1)!) + 1) % 64]
  for (let i = 0; i < text.length; i++) yield text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1)
}

await t.test('an envelope with any character changed is refused', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const envelope = await ada.thread.seal('m', 'hello')
  const expected: Record<'kid' | 'from' | 'n' | 'c', RefusalCode[]> = {
    kid: ['unknown_key'],
    from: ['unknown_sender'],
    // A last character may have bits that stand for nothing.
    n: ['tampered', 'malformed'],
    c: ['tampered', 'malformed'],
  }
  for (const field of ['kid', 'from', 'n', 'c'] as const) {
    const codes = new Set<string>()
    for (const text of damaged(envelope[field])) {
      const opened = await ben.thread.open({ ...envelope, [field]: text }, EXPECTED)
      codes.add(opened.ok ? `opened with ${field} ${text}` : opened.code)
    }
    t.notSame(codes, new Set(), field)
    t.strictSame(
      [...codes].filter(code => !expected[field].includes(code as RefusalCode)),
      [],
      field,
    )
  }
  const bytes = Buffer.from(envelope.c, 'base64url')
  for (let i = 0; i < bytes.length * 8; i++) {
    const changed = Buffer.from(bytes)
    changed[i >> 3]! ^= 1 << (i & 7)
    const opened = await ben.thread.open({ ...envelope, c: base64url(changed) }, EXPECTED)
    if (opened.ok || opened.code !== 'tampered') t.fail(`bit ${i}: ${JSON.stringify(opened)}`)
  }
  t.match(await ben.thread.open(envelope, EXPECTED), { ok: true, value: 'hello' })
})

await t.test('a handover with any character changed is refused, and changes nothing', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const { kid } = ben.thread
  const handover = await ada.thread.rotate()
  const damage: Handover[] = []
  for (const field of ['thread', 'kid', 'from', 's'] as const) {
    for (const text of damaged(handover[field])) damage.push({ ...handover, [field]: text })
  }
  for (const [i, member] of handover.members.entries()) {
    for (const j of [0, 1]) {
      for (const text of damaged(member[j]!))
        damage.push({ ...handover, members: handover.members.with(i, member.with(j, text) as never) })
    }
  }
  damage.push({ ...handover, n: handover.n + 1 }, { ...handover, members: handover.members.toReversed() })
  damage.push({ ...handover, members: [...handover.members, [idOf((await createIdentity('3')).public), '']] })
  const codes = new Set<string>()
  for (const one of damage) {
    const accepted = await ben.thread.accept(one, { sender: '1' })
    codes.add(accepted.ok ? `accepted ${JSON.stringify(one)}` : accepted.code)
  }
  t.strictSame([...codes].toSorted(), ['bad_signature', 'malformed', 'wrong_thread'])
  t.equal(ben.thread.kid, kid)
  t.equal(ben.thread.export().epochs.length, 1)
  await tell(ada, handover, [ben])
  t.equal(ben.thread.kid, handover.kid)
})

await t.test('an envelope is for one thread, type, sender and key', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const envelope = await ada.thread.seal('m', 'hello')
  t.match(await ben.thread.open(envelope, { sender: '1', type: 'n' }), { code: 'tampered' }, 'another type')
  t.match(await ben.thread.open(envelope, { sender: '2', type: 'm' }), { code: 'wrong_sender' })
  const mine = { ...envelope, from: idOf(ben.public) }
  t.match(await ben.thread.open(mine, { sender: '2', type: 'm' }), { code: 'tampered' }, 'taken over by another member')
  await tell(ada, await ada.thread.rotate(), [ada, ben])
  const rekeyed = { ...envelope, kid: ada.thread.kid }
  t.match(await ben.thread.open(rekeyed, EXPECTED), { code: 'tampered' }, 'another key')

  const members = [ada.public, ben.public]
  const [there, elsewhere] = await Promise.all(
    [ada, ben].map(({ identity }) => openThread({ thread: '43', identity, members })),
  )
  const handover = await there!.rotate()
  t.match(await ben.thread.accept(handover, { sender: '1' }), { code: 'wrong_thread' })
  t.match(await elsewhere!.accept({ ...handover, thread: '43' }, { sender: '1' }), { ok: true })
  t.match(await elsewhere!.open(envelope, EXPECTED), { code: 'unknown_key' }, 'another thread')
  t.match(await elsewhere!.open({ ...envelope, kid: elsewhere!.kid }, EXPECTED), { code: 'tampered' })
})

await t.test('a member cannot speak for another one', async t => {
  const { ada, ben, mallory } = await openWithMallory()
  const forgery = { ...keyOf(mallory), from: idOf(ada.public), type: 'm', signingKey: mallory.signingKey }
  t.match(await ben.thread.open(forge(forgery), EXPECTED), { code: 'bad_signature' })
  const honest = forge({ ...forgery, from: idOf(mallory.public) })
  t.match(await ben.thread.open(honest, EXPECTED), { code: 'wrong_sender' })
  t.match(
    await ben.thread.open(honest, { sender: '6', type: 'm' }),
    { ok: true, value: 'forged' },
    'the forger can seal',
  )

  const handover = await mallory.thread.rotate()
  const posing = { ...handover, from: idOf(ada.public) }
  t.match(await ben.thread.accept(posing, { sender: '1' }), { code: 'bad_signature' })
  t.match(await ben.thread.accept(handover, { sender: '1' }), { code: 'wrong_sender' })
})

await t.test('what a member seals that is no value is refused', async t => {
  const { ben, mallory } = await openWithMallory()
  const { signingKey } = mallory
  for (const body of ['', '[', 'null', '{}', '[]', '["1",2]', '[1,2', '\u0000', '[1e999x]', '[[[[[[[[']) {
    const envelope = forge({ ...keyOf(mallory), from: idOf(mallory.public), type: 'm', signingKey, body })
    t.match(await ben.thread.open(envelope, { sender: '6', type: 'm' }), { code: 'malformed' }, JSON.stringify(body))
  }
})

await t.test('an envelope that comes again under another id is refused, and no other one with it', async t => {
  const { ada, ben, mallory } = await openWithMallory()
  const envelope = await ada.thread.seal('m', 'pay')
  // One who sees the envelope before ben does may use its random bytes for something else.
  const { signingKey } = mallory
  const nonce = Buffer.from(envelope.n, 'base64url')
  const first = forge({ ...keyOf(mallory), from: idOf(mallory.public), type: 'm', signingKey, nonce })
  t.match(await ben.thread.open(first, { sender: '6', type: 'm', id: '100' }), { ok: true })
  for (const id of ['101', '101'])
    t.match(await ben.thread.open(envelope, { ...EXPECTED, id }), { ok: true }, 'history')
  for (const id of ['102', '101']) {
    t.match(
      await ben.thread.open(overTheWire(envelope), { ...EXPECTED, id }),
      id === '101' ? { ok: true } : { code: 'replay' },
    )
  }
})

await t.test('one who was removed is heard no more, even with the key', async t => {
  const { ada, ben, mallory } = await openWithMallory()
  const { signingKey } = mallory
  const from = idOf(mallory.public)
  const old = keyOf(mallory)
  const kept = await ben.thread.seal('m', 'kept')
  const next = await mallory.thread.rotate()
  const removal = await ada.thread.remove('6')
  await ben.thread.dismiss('6')
  t.equal(ben.thread.kid, undefined, 'nor is the key of before taken again')
  await tell(ada, removal, [ada, ben])
  const late = forge({ ...old, from, type: 'm', signingKey })
  t.match(await ben.thread.open(late, { sender: '6', type: 'm' }), { code: 'not_member' })
  // A traitor tells the new key: as history, what is sealed with it is still not of one who had it.
  const betrayed = forge({ ...keyOf(ada), from, type: 'm', signingKey })
  t.match(await ben.thread.open(betrayed, { sender: '6', type: 'm', past: true }), { code: 'not_member' })

  t.match(await ben.thread.accept(next, { sender: '6' }), { ok: true, strangers: [from] }, 'to open, not to seal')
  t.equal(ben.thread.kid, removal.kid)
  const claim = { ...removal, from, members: [...removal.members, [from, '']] as Handover['members'] }
  t.match(await ben.thread.accept(signed(claim, mallory), { sender: '6' }), { code: 'not_member' })
  t.equal(ben.thread.kid, removal.kid, 'and cannot stop the others')
  t.match(await mallory.thread.open(kept, { sender: '2', type: 'm' }), { ok: true }, 'what it has it keeps')
})

function signed(handover: Handover, { signingKey }: Hacker): Handover {
  const { thread, n, kid, from, members } = handover
  const bytes = pack('throughline e2e 1 handover', thread, String(n), kid, from, ...members.flat())
  return { ...handover, s: base64url(signature(signingKey, bytes)) }
}

await t.test('a member cannot hand over a key other than it says, nor use up the numbers', async t => {
  const { ada, ben, mallory } = await openWithMallory()
  const { kid } = ben.thread
  const from = idOf(mallory.public)
  const secret = Buffer.alloc(32, 7)
  const give = async (n: number, named: string, sealed: Uint8Array): Promise<Handover> => {
    const members: [string, string][] = [[from, '']]
    for (const { public: identity } of [ada, ben]) {
      const raw = new Uint8Array(Buffer.from(identity.enc, 'base64url'))
      const info = new Uint8Array(pack('throughline e2e 1 handover', '42', String(n), named, from, idOf(identity)))
      const recipient = { key: await importPoint(raw, P256, []), raw }
      members.push([idOf(identity), base64url(await hpkeSeal(recipient, info, new Uint8Array(sealed)))])
    }
    return signed({ v: 1, thread: '42', n, kid: named, from, members, s: '' }, mallory)
  }
  const accept = (handover: Handover) => ben.thread.accept(handover, { sender: '6' })
  t.match(
    await accept(await give(9, kidOf('42', 9, secret), Buffer.alloc(32, 8))),
    { code: 'tampered' },
    'another secret',
  )
  t.match(await accept(await give(9, kidOf('42', 8, secret), secret)), { code: 'tampered' }, 'another number')
  t.match(await accept(await give(9, kid!, secret)), { code: 'tampered' }, 'a number for a known key')
  t.match(await accept(await give(2 ** 53 - 1, kidOf('42', 2 ** 53 - 1, secret), secret)), { code: 'epoch_jump' })
  const without = await give(9, kidOf('42', 9, secret), secret)
  t.match(await accept(signed({ ...without, members: without.members.slice(1) }, mallory)), { code: 'malformed' })
  t.match(
    await accept(signed({ ...without, members: without.members.slice(0, 2) }, mallory)),
    { code: 'not_for_this_device' },
    'a key that others have and ben does not',
  )
  t.equal(ben.thread.kid, kid)
  t.match(await accept(without), { ok: true }, 'with all in order it is one')
  const name = (length: number): Handover => {
    const ids = Array.from({ length }, () => base64url(randomBytes(32)))
    return signed({ ...without, members: [from, ...ids].map(id => [id, '']) }, mallory)
  }
  t.match(await accept(name(200)), { ok: true })
  t.match(await accept(name(200)), { code: 'malformed' }, 'nor name devices without end')
})

await t.test('a handover that comes again does not bring the old key back', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const handovers = [await ada.thread.rotate()]
  await tell(ada, handovers[0], [ada, ben])
  handovers.push(await ada.thread.rotate())
  await tell(ada, handovers[1], [ada, ben])
  await tell(ada, handovers[0], [ada, ben])
  t.equal(ben.thread.kid, handovers[1]!.kid)
})

await t.test('whatever else comes is refused, and nothing is thrown', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const envelope = await ada.thread.seal('m', 1)
  const handover = await ada.thread.rotate()
  const long = 'A'.repeat(10_000_000)
  const odd: unknown[] = [
    undefined,
    null,
    true,
    1,
    1.5,
    -1,
    Number.NaN,
    '',
    'x',
    long,
    [],
    {},
    [[]],
    { toString: 1 },
    { length: 9 },
  ]
  const shapes: unknown[] = [
    ...odd,
    Array.from({ length: 100_000 }, () => ['', '']),
    JSON.parse('{"__proto__":{"v":1}}'),
  ]
  for (const [key, whole] of [
    ...Object.keys(envelope).map(key => [key, envelope] as const),
    ...Object.keys(handover).map(key => [key, handover] as const),
  ]) {
    for (const value of odd) if (!(key === 'v' && value === 1)) shapes.push({ ...whole, [key]: value })
  }
  for (const members of [
    [null],
    [[]],
    [['x', 'y']],
    [[long, long]],
    Array.from({ length: 300 }, () => handover.members[0]),
  ]) {
    shapes.push({ ...handover, members })
  }
  const codes = new Set<string>()
  for (const shape of shapes) {
    const opened = await ben.thread.open(shape, EXPECTED)
    const accepted = await ben.thread.accept(shape, { sender: '1' })
    for (const result of [opened, accepted]) codes.add(result.ok ? 'ok' : result.code)
  }
  t.notOk(codes.has('ok'), [...codes].join())
  t.match(await ben.thread.open({ ...envelope, c: long }, EXPECTED), { code: 'malformed' })
  t.match(await ben.thread.open(envelope, { sender: null as never, type: 'm' }), { code: 'wrong_sender' })
  t.match(await ben.thread.open(envelope, EXPECTED), { ok: true })
})

await t.test('a member who makes keys without end fills nothing up', async t => {
  const [ada, ben] = (await openGroup('42', '1', '2')) as [Person, Person]
  const envelope = await ada.thread.seal('m', 1)
  const { epochs, ...state } = ben.thread.export()
  const flood = Array.from({ length: 999 }, (_, i) => ({ ...epochs[0]!, n: i + 2, secret: base64url(randomBytes(32)) }))
  const full = { ...state, epochs: [...epochs, ...flood] }
  const [one, other] = [ada, ben].map(({ identity }) =>
    openThread({ thread: '42', identity, members: [ada.public, ben.public], state: full }),
  )
  const handover = await (await one!).rotate()
  const thread = await other!
  t.match(await thread.open(envelope, EXPECTED), { ok: true })
  t.match(await thread.accept(handover, { sender: '1' }), { ok: true })
  t.equal(thread.kid, handover.kid)
  t.equal(thread.export().epochs.length, 1000)
  t.match(await thread.open(envelope, EXPECTED), { code: 'unknown_key' }, 'the oldest went')
})
