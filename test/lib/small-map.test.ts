import { t } from 'tap'
import { SmallMap } from '../../src/lib/small-map.ts'

await t.test('it is a map, whether it has few entries or many', async t => {
  const small = new SmallMap<string>()
  const map = new Map<string, number>()
  let seed = 7
  for (let i = 0; i < 2000; i++) {
    seed = (seed * 48_271) % 2_147_483_647
    const key = `k${seed % (i < 1000 ? 10 : 80)}`
    if (seed % 3 === 0) {
      small.delete(key)
      map.delete(key)
    } else {
      small.set(key, i)
      map.set(key, i)
    }
    if (small.get(key) !== map.get(key) || small.has(key) !== map.has(key) || small.size !== map.size) t.fail(`at ${i}`)
    if (i % 100 === 0) t.same(new Map(small), map)
  }
  t.same(new Set(small.keys()), new Set(map.keys()))
  t.equal(small.get('nobody'), undefined)
})

await t.test('0 is a value', async t => {
  const small = new SmallMap<string>()
  small.set('a', 0)
  t.ok(small.has('a'))
  t.same([...small], [['a', 0]])
})
