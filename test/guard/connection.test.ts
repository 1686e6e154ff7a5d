/** What a connection that does nothing holds, and what one that opens allocates, in bytes. No times, so it must hold on any machine. */
import t from 'tap'
import { close, complete } from '../../bench/load/crowd.ts'
import { GuardedNode, NEVER_FULL } from './node.ts'

t.setTimeout(300_000)

/** They pay for code, tables and pools, and for the growing of these. */
const EARLIER = 1000
const CONNECTIONS = 5000

for (const { threads, heap, resident } of [
  // Measured: 1.6 KB alive; a timer, or a closure with what it holds, is some 200 bytes more.
  { threads: 1, heap: 1760, resident: 8000 },
  { threads: 20, heap: 3900, resident: 20_000 },
]) {
  await t.test(
    `an idle connection in ${threads} of the threads that all are in holds ${heap} bytes at most`,
    async t => {
      const node = await GuardedNode.start(t)
      const names = Array.from({ length: threads }, (_, i) => `t${10 + i}`)
      const earlier = await node.join(1000, 1000 + EARLIER, names)
      const before = await node.read()
      const later = await node.join(2000, 2000 + CONNECTIONS, names)
      t.teardown(() => close([...earlier, ...later]))
      await complete(later, () => 0)
      const after = await node.read()
      const alive = (after.alive - before.alive) / CONNECTIONS
      t.ok(alive > 500, `they were counted: ${alive} bytes each`)
      t.ok(alive < heap, `${alive} bytes of JavaScript each`)
      // The heap has room that is not used, so this bound is wide.
      const all = (after.resident - before.resident) / CONNECTIONS
      t.ok(all < resident, `${all} bytes of resident memory each`)
    },
  )
}

await t.test('a connection that opens allocates 19,000 bytes at most', async t => {
  const node = await GuardedNode.start(t, 'memory', NEVER_FULL)
  const earlier = await node.join(1000, 2000, ['t1'])
  t.teardown(() => close(earlier))
  const costs: number[] = []
  // On a busy machine V8 may collect meanwhile; then that run says nothing.
  for (let from = 2000; costs.length === 0 && from < 6000; from += 500) {
    const before = await node.read()
    const later = await node.join(from, from + 500, ['t1'])
    t.teardown(() => close(later))
    const after = await node.read()
    if (after.collections === before.collections) costs.push((after.heap - before.alive) / 500)
  }
  // Measured: 15 KB.
  for (const cost of costs) t.ok(cost > 5000 && cost < 19_000, `${cost} bytes each`)
  t.equal(costs.length, 1, 'in one of these runs nothing was collected')
})
