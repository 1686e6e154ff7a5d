import { t } from 'tap'
import { MemoryPresence } from '../../src/presence/memory.ts'
import type { Change } from '../../src/presence/store.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { presenceStoreContract } from '../contract/presence-store.ts'

await presenceStoreContract(t, async t => {
  const store = new MemoryPresence()
  const changes: [Topic, Change][] = []
  const crossings: [string, number][] = []
  store.listen({
    changed: (topic, change) => changes.push([topic, change]),
    lost: () => undefined,
    crossed: (topic, occupied, version) => crossings.push([`${occupied ? '+' : '-'}${topic}`, version]),
  })
  t.teardown(() => store.close())
  return { store, changes, crossings, losses: [], follow: async () => {} }
})
