import t from 'tap'
import type { Bus, Known } from '../../src/bus/bus.ts'
import { Chains } from '../../src/hub/chains.ts'
import { endOfTick } from '../../src/lib/clock.ts'
import type { SiteId, ThreadId } from '../../src/protocol/ids.ts'
import { threadTopic, type Topic } from '../../src/protocol/topic.ts'

const topic = threadTopic('acme' as SiteId, '7' as ThreadId)
const nobody = (): number => 0

/** A bus that answers when `answered` resolves. */
function chainsOf(answered: Promise<void> = Promise.resolve()): Chains {
  const bus: Pick<Bus, 'subscribe' | 'unsubscribe'> = {
    async subscribe(topics): Promise<Known[]> {
      await answered
      return topics.map(() => ({ head: 1, revocations: undefined }))
    },
    unsubscribe() {},
  }
  return new Chains(bus as Bus)
}

await t.test(
  'a chain that is followed and not listened to is let go of ten seconds after the last who followed',
  async t => {
    const chains = chainsOf()
    await chains.follow([topic], 0)
    t.equal(chains.follow([topic], 5000), undefined)
    t.same(chains.release(10_000, nobody), [])
    t.same(chains.release(15_000, nobody), [topic])
    t.equal(chains.size, 0)
  },
)

await t.test('a chain with listeners is not put down for letting go, however often it is followed', async t => {
  const chains = chainsOf()
  await chains.follow([topic], 0)
  chains.listenersChanged(topic, 1, 0)
  void chains.follow([topic], 1000)
  const asked: Topic[] = []
  chains.release(60_000, topic => asked.push(topic))
  t.same(asked, [])
  chains.listenersChanged(topic, 0, 61_000)
  t.same(chains.release(71_000, nobody), [topic])
})

await t.test('a chain of which the bus tells after ten seconds is let go of too', async t => {
  let answer = (): void => {}
  const chains = chainsOf(new Promise(resolve => (answer = resolve)))
  const followed = chains.follow([topic], 0)
  await endOfTick()
  t.same(chains.release(10_000, nobody), [])
  answer()
  await followed
  t.same(chains.release(20_000, nobody), [topic])
})

await t.test('topics of two batches are waited for together', async t => {
  const chains = chainsOf()
  const other = threadTopic('acme' as SiteId, '8' as ThreadId)
  const first = chains.follow([topic], 0)
  await endOfTick()
  await Promise.all([first, chains.follow([topic, other], 0)])
  t.not(chains.last(topic), undefined)
  t.not(chains.last(other), undefined)
})
