/** What every Bus promises of gaps that origins ask for, and of what they decide about users (src/bus/bus.ts). */
import type { Test } from 'tap'
import type { Notice } from '../../src/bus/notice.ts'
import { parseSiteId, parseThreadId, parseUserId } from '../../src/protocol/ids.ts'
import { userTopic } from '../../src/protocol/topic.ts'
import { until } from '../support/until.ts'
import {
  fence,
  follow,
  newPrefix,
  type OpenBus,
  openNode,
  placeOf,
  readHeads,
  say,
  sayAll,
  thread,
  threads,
  valid,
} from './node.ts'

const SEVEN = userTopic(valid(parseSiteId('acme')), valid(parseUserId('7')))
const T42 = valid(parseThreadId('42'))
const REVOKE = { kind: 'disconnect', revoke: true, reason: 'bye' } as const satisfies Notice
const REMOVE: Notice = { kind: 'members', thread: T42, permissions: 0 }
const ADD: Notice = { kind: 'members', thread: T42, permissions: 3 }

export async function noticeContract(t: Test, open: OpenBus): Promise<void> {
  await t.test('a gap gives each chain a new head, and tells it in the order of the chain', async t => {
    const node = await openNode(t, open, newPrefix())
    const topics = threads(50)
    await node.bus.subscribe(topics)
    const before = await sayAll(node.bus, topics)
    await node.bus.gap(topics)
    const heads = await readHeads(node.bus, topics)
    const after = await sayAll(node.bus, topics)
    await fence(node)
    for (const [i, topic] of topics.entries()) {
      t.same(
        node.ear.gaps.filter(gap => gap.topic === topic).map(({ head }) => head),
        [heads[i]],
      )
      t.ok(valid(heads[i]) > valid(before[i]).stamp)
      t.equal(placeOf(valid(node.ear.of(topic)[1])).prev, String(heads[i]), 'the next event follows the new head')
      t.ok(valid(after[i]).stamp > valid(heads[i]))
    }
  })

  await t.test('a gap of a chain that nobody follows still moves its head', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    const { stamp } = await say(bus, thread('1'))
    await bus.gap([thread('1')])
    t.ok((await follow(bus, thread('1'))) > stamp)
    t.same(ear.gaps, [])
  })

  await t.test('a notice reaches who follows the user, in order with the events of the chain', async t => {
    const node = await openNode(t, open, newPrefix())
    const { bus, ear } = node
    const order: string[] = []
    bus.listen({
      deliver: delivery => {
        if (delivery.topic === SEVEN) order.push('event')
        ear.deliver(delivery)
      },
      notice: (_topic, { kind }) => order.push(kind),
      gap: () => order.push('gap'),
      direct: () => undefined,
      busChanged: () => undefined,
      erasChanged: () => undefined,
    })
    await follow(bus, SEVEN)
    await say(bus, SEVEN)
    await bus.notify(SEVEN, ADD)
    await say(bus, SEVEN)
    await bus.gap([SEVEN])
    await bus.notify(SEVEN, REVOKE)
    await fence(node)
    t.same(order, ['event', 'members', 'event', 'gap', 'disconnect'])
  })

  await t.test('what was taken back is there for who follows later, until it is given back', async t => {
    const { bus, ear } = await openNode(t, open, newPrefix())
    const earliest = Math.floor(Date.now() / 1000)
    const known = async () => valid((await bus.read([SEVEN]))[0]).revocations
    t.equal(await known(), undefined)
    await bus.notify(SEVEN, { ...REVOKE, revoke: false })
    await bus.notify(SEVEN, ADD)
    t.equal(await known(), undefined, 'neither an end nor a permission takes anything back')

    await bus.notify(SEVEN, REMOVE)
    const removed = valid((await bus.subscribe([thread('9'), SEVEN, thread('8')]))[1]).revocations
    t.equal(removed?.tokens, 0)
    t.ok(valid(removed?.threads.get(T42)) >= earliest && valid(removed?.threads.get(T42)) <= Date.now() / 1000 + 1)

    await bus.notify(SEVEN, REVOKE)
    const both = await known()
    t.ok(valid(both?.tokens) >= earliest)
    t.equal(both?.threads.size, 1)
    const last = await until(() => ear.notices.at(-1), { what: 'the notice' })
    t.same(last, { topic: SEVEN, notice: REVOKE, at: both?.tokens }, 'the listener is told the same second')

    await bus.notify(SEVEN, ADD)
    t.same(await known(), { tokens: both?.tokens, threads: new Map() }, 'the thread is given back')
    t.equal(valid((await bus.read([thread('42')]))[0]).revocations, undefined, 'other chains have none')
  })
}
