/** Whatever comes and goes, nothing of it stays: the short version of `npm run soak` (bench/README.md). */
import t from 'tap'
import { soak } from '../bench/soak/run.ts'
import { SEED } from './support/random.ts'

t.setTimeout(300_000)

const options = { seconds: 15, perSecond: 250, seed: SEED, growth: 1.2 }
// Side by side, since most of the time is spent on waiting until all graces are over.
const soaks = await Promise.all([soak(options), soak({ ...options, nodesOnRedis: 1 })])

for (const [i, bus] of ['the memory bus', 'Redis'].entries()) {
  await t.test(`after churn on ${bus} nothing is left, and memory is flat (SEED=${SEED})`, async t => {
    const { done, left } = soaks[i]!
    for (const what of [
      'got connected',
      'got subscribed',
      'got event message',
      'got error bad_field',
      'answered 422',
    ]) {
      t.ok(
        done.some(([name]) => name === what),
        `there was churn: ${what}`,
      )
    }
    for (const { what, found, expected, ok } of left) t.ok(ok, `${what}: found ${found}, expected ${expected}`)
  })
}
