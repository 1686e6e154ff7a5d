import { t } from 'tap'
import { backoff, refreshIn } from '#client/backoff.js'

await t.test('waits double from a second to half a minute, anywhere between nothing and all of it', async t => {
  t.same(
    [0, 1, 2, 3, 4, 5, 50, 5000].map(n => backoff(n, 1)),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  )
  t.equal(backoff(3, 0), 0)
  t.equal(backoff(3, 0.5), 4000)
})

await t.test('a token is refreshed half a minute to a minute before its end, a short one sooner', async t => {
  t.same([refreshIn(3600, 0), refreshIn(3600, 1)], [3_540_000, 3_570_000])
  t.same([refreshIn(20, 0), refreshIn(20, 1)], [10_000, 15_000])
  t.equal(refreshIn(0.1, 0.5), 1000)
})
