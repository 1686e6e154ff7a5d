import t from 'tap'
import { TokenBucket } from '../../src/lib/token-bucket.ts'

const SECOND = 1000

await t.test('a full bucket gives as many tokens as it has, and then one for each interval', async t => {
  const bucket = new TokenBucket()
  for (let taken = 0; taken < 3; taken++) {
    t.equal(bucket.wait(SECOND, 2, 3), 0, `${taken} were taken`)
    bucket.take(1, SECOND, 2)
  }
  t.equal(bucket.wait(SECOND, 2, 3), 0.5)
  t.equal(bucket.wait(SECOND + 250, 2, 3), 0.25)
  t.equal(bucket.wait(SECOND + 500, 2, 3), 0)
  bucket.take(1, SECOND + 500, 2)
  t.equal(bucket.wait(SECOND + 500, 2, 3), 0.5)
})

await t.test('what was never used, or rested, is full but no fuller', async t => {
  const bucket = new TokenBucket()
  t.ok(bucket.isFull(0))
  bucket.take(2, 0, 1)
  t.notOk(bucket.isFull(1999))
  t.ok(bucket.isFull(2000))
  bucket.take(5, 3600 * SECOND, 1)
  t.equal(bucket.wait(3600 * SECOND, 1, 5), 1, 'an hour gives no more than five')
})

await t.test('it may be overdrawn as long as there is a token, and the debt is waited for', async t => {
  const bucket = new TokenBucket()
  bucket.take(1000, 0, 100)
  t.equal(bucket.wait(0, 100, 100), 9.01)
  t.equal(bucket.wait(9010, 100, 100), 0)
})

await t.test('fractions neither give nor cost a token', async t => {
  const bucket = new TokenBucket()
  for (let taken = 0; taken < 600; taken++) {
    if (bucket.wait(123.456, 300, 600) > 0) t.fail(`refused after ${taken}`)
    bucket.take(1, 123.456, 300)
  }
  t.ok(bucket.wait(123.456, 300, 600) > 0)
})

await t.test('another rate or size counts at once', async t => {
  const bucket = new TokenBucket()
  bucket.take(10, 0, 10)
  t.equal(bucket.wait(0, 10, 6), 0.5)
  t.equal(bucket.wait(0, 10, 11), 0)
})
