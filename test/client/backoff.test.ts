import { t } from 'tap'
import { backoff, refreshIn } from '#client/backoff.js'

await t.test(
  'waits half as long again each time, from a second to twenty, anywhere between nothing and all of it',
  async t => {
    t.same(
      [0, 1, 2, 3, 4, 5, 50, 5000].map(n => backoff(n, 1)),
      [1000, 1500, 2250, 3375, 5062.5, 7593.75, 20_000, 20_000],
    )
    t.equal(backoff(3, 0), 0)
    t.equal(backoff(3, 0.5), 1687.5)
  },
)

await t.test('a token is refreshed half a minute to a minute before its end, a short one sooner', async t => {
  t.same([refreshIn(3600, 0), refreshIn(3600, 1)], [3_540_000, 3_570_000])
  t.same([refreshIn(20, 0), refreshIn(20, 1)], [10_000, 15_000])
  t.equal(refreshIn(0.1, 0.5), 1000)
})
