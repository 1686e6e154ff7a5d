import { generateKeyPairSync } from 'node:crypto'
import { t } from 'tap'
import { openPoster } from '../../src/callbacks/post.ts'
import type { Batch, Outcome } from '../../src/callbacks/queue.ts'
import { send } from '../../src/callbacks/send.ts'
import { Slots } from '../../src/callbacks/slots.ts'
import { jittered } from '../../src/lib/backoff.ts'
import { TypeList } from '../../src/trust/types.ts'
import { CallbackOrigin, status } from '../support/callback-origin.ts'
import { until } from '../support/until.ts'

const NOW = 1_800_000_000_000
const origin = await CallbackOrigin.start(t)
const poster = openPoster({ allow: ['127.0.0.0/8'] })
t.teardown(() => poster.close())
const { privateKey } = generateKeyPairSync('ed25519')
const parts = { poster, key: async () => privateKey, clock: { now: () => NOW } }

function batch(attempt: number): Batch {
  return { id: 'msg_1', attempt, body: '{"site":"acme","events":[]}', token: 't', last: '1' }
}

async function sendTo(url: string, attempt = 1): Promise<Outcome> {
  return send(parts, { url, events: new TypeList([]), data: false, secrets: [] }, batch(attempt))
}

async function answered(code: number, headers: Record<string, string> = {}, attempt = 1): Promise<any> {
  origin.answer = status(code, headers)
  return sendTo(origin.url, attempt)
}

await t.test('2xx is taken, 410 is the end, and all else is tried again and says what came', async t => {
  for (const code of [200, 202, 204]) t.same(await answered(code), { kind: 'ok' })
  t.same(await answered(410), { kind: 'gone', error: 'the origin answered 410' })
  for (const code of [400, 401, 404, 429, 500, 503]) {
    t.match(await answered(code), { kind: 'retry', error: `the origin answered ${code}` })
  }
  t.match(await answered(301, { location: origin.url }), {
    kind: 'retry',
    error: 'the origin answered 301, and redirects are not followed',
  })
})

await t.test(
  'Retry-After is waited for, in seconds or as a date, up to an hour, and never shortens the wait',
  async t => {
    t.equal((await answered(503, { 'retry-after': '120' })).delayMs, 120_000)
    t.equal((await answered(429, { 'retry-after': new Date(NOW + 90_000).toUTCString() })).delayMs, 90_000)
    t.equal((await answered(503, { 'retry-after': '999999' })).delayMs, 3_600_000)
    for (const value of ['0', '-5', 'soon', new Date(NOW - 90_000).toUTCString()]) {
      const { delayMs } = await answered(503, { 'retry-after': value })
      t.ok(delayMs >= 1000 && delayMs <= 5000, value)
    }
  },
)

await t.test('an address that callbacks may not reach is a failure with a reason', async t => {
  const outcome = await sendTo('https://10.1.2.3/')
  t.match(outcome, { kind: 'retry', error: /^address_refused: .*THROUGHLINE_CALLBACK_ALLOW/ })
})

await t.test('the wait doubles with full jitter: from 1 to 5 s at first, never over 10 minutes', async t => {
  for (const [attempt, most] of [
    [1, 5000],
    [2, 10_000],
    [5, 80_000],
    [9, 600_000],
    [500, 600_000],
  ] as const) {
    const waits = Array.from({ length: 500 }, () => jittered(attempt, 1000, 5000, 600_000))
    t.ok(waits.every(wait => wait >= 1000 && wait <= most))
    t.ok(Math.min(...waits) < most / 2 && Math.max(...waits) > most / 2, 'spread')
  }
})

await t.test('what is late leaves the slots of those that are not; what fails has its own', async t => {
  let freed = 0
  const slots = new Slots({ quick: 2, late: 2, lateAfterMs: 20, failing: 1 })
  const take = (isFailing: boolean) => slots.take(isFailing, () => freed++)
  const [one, two] = [take(false), take(false)]
  t.equal(take(false), undefined)
  two?.release()
  await until(() => freed === 1, { what: 'the first to be late' })
  const [three, four] = [take(false), take(false)]
  t.ok(three && four, 'both places are free')
  three?.late()
  three?.late()
  t.equal(freed, 2)
  four?.release()
  t.equal(take(false), undefined, 'what is late has an end')
  const failing = take(true)
  t.ok(failing, 'and is not in the way of what fails')
  t.equal(take(true), undefined)
  one?.release()
  t.ok(take(false))
  failing?.release()
  t.ok(take(true))
})
