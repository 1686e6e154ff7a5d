/**
 * What an event costs, counted: bytes that are allocated, calls into uWebSockets, system calls. No times, so it must hold
 * on any machine. The bounds are a tenth above what is measured, where counting is exact a little less.
 */
import t from 'tap'
import { close, complete } from '../../bench/load/crowd.ts'
import type { Receiver } from '../../bench/lib/receiver.ts'
import { DATA, GuardedNode, NEVER_FULL, NOBODY } from './node.ts'
import { writesOf } from './writes.ts'

t.setTimeout(300_000)

const WARM = 3000
const EVENTS = 2000
const RUNS = 3
const PAIR = 't02'
const CROWD = 't01'
const CROWD_SIZE = 102
const BATCH = 100

await t.test('an event costs as few bytes and calls as it should', async t => {
  const node = await GuardedNode.start(t, 'memory', NEVER_FULL)
  const publish = await node.publisher(t)
  const request = (thread: string): Buffer => node.server.publishing(thread, DATA)
  const batch = (thread: string): Buffer => node.server.publishingAll!(Array<string>(BATCH).fill(thread), DATA)
  const crowd = await node.join(0, CROWD_SIZE, [CROWD])
  const pair = await node.join(1000, 1002, [PAIR])
  t.teardown(() => close([...crowd, ...pair]))
  // Until it is compiled, code allocates more.
  for (const thread of [NOBODY, PAIR, CROWD]) await publish(request(thread), WARM)
  await publish(batch(NOBODY), WARM / BATCH)

  /** Returns what an event costs: the least of three runs, since code that is compiled meanwhile allocates too. */
  async function costOf(
    body: Buffer,
    receivers: readonly Receiver[],
    each = 1,
  ): Promise<{ bytes: number; calls: number }> {
    const costs = []
    for (let run = 0; run < RUNS; run++) {
      const before = await node.read()
      await publish(body, EVENTS / each)
      await complete(receivers, () => WARM + (run + 1) * EVENTS)
      const { heap, buffers, publishes, sends, collections } = await node.read()
      // 20 MB are far less than the young heap has room for.
      t.equal(collections, before.collections, 'so little was allocated that nothing had to be collected')
      costs.push({
        bytes: (heap + buffers - before.alive) / EVENTS,
        calls: (publishes + sends - before.publishes - before.sends) / EVENTS,
      })
    }
    return costs.reduce((least, cost) => (cost.bytes < least.bytes ? cost : least))
  }

  const unheard = await costOf(request(NOBODY), [])
  const heard = await costOf(request(PAIR), pair)
  const widely = await costOf(request(CROWD), crowd)
  const batched = await costOf(batch(NOBODY), [], BATCH)
  const perDelivery = (widely.bytes - heard.bytes) / (CROWD_SIZE - pair.length)
  t.comment({ unheard, heard, widely, batched, perDelivery })

  await t.test('to publish it: 7.1 KB, in which are the bytes of a request, an answer and a frame', async t => {
    t.ok(unheard.bytes > 1000, `it was counted: ${unheard.bytes} bytes`)
    t.ok(unheard.bytes < 7800, `${unheard.bytes} bytes an event that nobody hears`)
  })
  await t.test('with delivering it 8.3 KB, however many hear it', async t => {
    t.ok(heard.bytes < 9100, `${heard.bytes} bytes an event that two hear`)
    // The least that JavaScript can allocate for a delivery is an object of 16 bytes.
    t.ok(Math.abs(perDelivery) < 8, `${perDelivery} bytes for each that hears it`)
  })
  await t.test('in a batch 3 KB', async t => {
    t.ok(batched.bytes > 500 && batched.bytes < 4000, `${batched.bytes} bytes an event in a batch that nobody hears`)
  })
  await t.test('V8 finds the methods of strings in its fast way', async t => {
    t.equal((await node.read()).fastStrings, true)
  })
  await t.test('one call into uWebSockets, however many hear it', async t => {
    // Pings, once in a while, are calls too.
    for (const { calls } of [heard, widely]) t.ok(calls >= 1 && calls < 1.2, `${calls} calls an event`)
    t.ok(unheard.calls < 1.1, `${unheard.calls} calls an event that nobody hears`)
  })
  await t.test('many at once are written together', async t => {
    const before = WARM + RUNS * EVENTS
    const writes = await writesOf(node.server.nodes[0]!.pid, async () => {
      await publish(batch(CROWD), 1)
      await complete(crowd, () => before + BATCH)
    })
    if (writes === undefined) {
      t.pass('strace is not here, or may not look: not counted')
      return
    }
    // A hundred frames are two and a half of uWebSockets' buffers. Published inside a handler, some seventy would be written each by itself.
    t.ok(
      writes / CROWD_SIZE >= 1 && writes / CROWD_SIZE < 8,
      `${writes / CROWD_SIZE} writes a socket for ${BATCH} frames`,
    )
  })
})
