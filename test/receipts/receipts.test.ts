import { t } from 'tap'
import { MemoryBus } from '../../src/bus/memory.ts'
import { delivered } from '../../src/callbacks/facts.ts'
import { newEventId } from '../../src/hub/event-id.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { parseEventId, parseSiteId, parseThreadId, parseUserId } from '../../src/protocol/ids.ts'
import { userTopic } from '../../src/protocol/topic.ts'
import { MemoryReceipts } from '../../src/receipts/memory.ts'
import { Receipts } from '../../src/receipts/receipts.ts'
import { seal, unseal } from '../../src/receipts/seal.ts'
import { log, metrics } from '../bus/open.ts'
import { Ear, valid } from '../contract/node.ts'
import { until } from '../support/until.ts'

const site = valid(parseSiteId('acme'))
const [sender, reader] = [valid(parseUserId('s')), valid(parseUserId('r'))]
const event = valid(parseEventId('e1'))
const thread = valid(parseThreadId('42'))

await t.test('a receipt counts for 24 hours, and not a moment longer', async t => {
  const clock = { at: 1_800_000_000_000, now: () => clock.at }
  const refused: string[] = []
  const bus = new MemoryBus()
  const ear = new Ear()
  bus.listen(ear)
  await bus.subscribe([userTopic(site, sender)])
  const receipts = new Receipts({
    store: new MemoryReceipts(bus),
    newEventId,
    delivered: () => {},
    clock,
    metrics: { ...metrics, receiptRefused: code => refused.push(code) },
    log,
  })
  const receipt = await receipts.seal({ site, to: sender, event, thread })
  clock.at += 86_400_000 + 1
  await receipts.confirm(site, reader, [receipt])
  t.same(refused, ['expired'])
  clock.at -= 1
  await receipts.confirm(site, reader, [receipt, receipt])
  await receipts.close()
  await bus.close()
  t.same(refused, ['expired'])
  t.equal(ear.heard.length, 1)
  t.match(JSON.parse(valid(ear.heard[0]).frame.toString()), { type: 'delivered', data: { ids: ['e1'], user: 'r' } })
})

await t.test(
  'when the answer to a receipt is lost, it is told all the same, and recognised when told twice',
  async t => {
    const bus = new MemoryBus()
    const real = new MemoryReceipts(bus)
    let lost = 0
    const told: string[] = []
    const receipts = new Receipts({
      store: {
        keys: () => real.keys(),
        async deliver(delivery) {
          const counted = await real.deliver(delivery)
          if (lost++ === 0) throw new Error('Command timed out')
          return counted
        },
      },
      newEventId,
      delivered: (_site, _thread, _user, events) => told.push(...events),
      clock: systemClock,
      metrics,
      log,
    })
    const confirm = async (): Promise<void> => {
      await receipts.confirm(site, reader, [await receipts.seal({ site, to: sender, event, thread })])
    }
    await confirm()
    await until(() => lost === 2, { what: 'a second try' })
    await until(() => told.length > 0, { what: 'the receipt' })
    t.same(told, ['e1'])
    await confirm()
    await until(() => lost === 3, { what: 'the same receipt from another tab' })
    await receipts.close()
    t.same(told, ['e1'])
    await bus.close()
    const [one, again, other] = [event, event, valid(parseEventId('e2'))].map((id, i) =>
      delivered(id, reader, thread, i),
    )
    t.equal(one?.id, again?.id)
    t.not(one?.id, other?.id)
    t.equal(parseEventId(valid(one).id), one?.id)
  },
)

await t.test('what is sealed can be opened with the same key only, whole and unchanged', async t => {
  const [key, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const address = { site, to: sender, event, thread: undefined, expires: 1_800_000_000 }
  const sealed = seal(address, key)
  t.same(unseal(sealed, key), address)
  t.match(sealed, /^[A-Za-z0-9_-]+$/, 'stands in JSON as it is')
  t.not(seal(address, key), sealed, 'never the same twice')
  t.equal(unseal(sealed, other), undefined)
  for (let at = 0; at < sealed.length; at++) {
    const changed = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`
    // The last character of base64url has bits that mean nothing.
    if (Buffer.from(changed, 'base64url').equals(Buffer.from(sealed, 'base64url'))) continue
    if (unseal(changed, key) !== undefined) t.fail(`changed at ${at}`)
  }
  for (const length of [0, 1, 28, 40]) t.equal(unseal(sealed.slice(0, length), key), undefined)
})
