/** What every CallbackQueue promises (src/callbacks/queue.ts), run by test/callbacks/{memory,redis}.test.ts against each. */
import type { Test } from 'tap'
import { type Batch, type CallbackQueue, CLOSE, type Fact, MOST, type Next } from '../../src/callbacks/queue.ts'
import { chunks } from '../../src/lib/arrays.ts'
import { parseEventId, parseEventType, parseSiteId, parseUserId, type SiteId } from '../../src/protocol/ids.ts'
import { until } from '../support/until.ts'
import { valid } from './node.ts'

/** Opens a queue that no other test uses. */
export type OpenQueue = (t: Test) => Promise<CallbackQueue>

export const ACME = valid(parseSiteId('acme'))
export const GLOBEX = valid(parseSiteId('globex'))

export function fact(id: string, more: Partial<Fact> = {}): Fact {
  return { id: valid(parseEventId(id)), type: valid(parseEventType('typing')), at: 1, ...more }
}

let version = 0

/** A user who comes or goes. */
export function state(id: string, user: string, online: boolean, order = ++version): Fact {
  const type = valid(parseEventType(online ? 'user.online' : 'user.offline'))
  const name = `user:${user}`
  // As real ones are: microseconds.
  return fact(id, { type, user: valid(parseUserId(user)), state: { name, version: Date.now() * 1000 + order } })
}

/** Takes what there is as soon as its batch closes. */
export async function take(queue: CallbackQueue, site: SiteId = ACME): Promise<Batch> {
  return until(
    async () => {
      const taken = await queue.take(site)
      return 'body' in taken ? taken : undefined
    },
    { what: 'a batch' },
  )
}

export function idsIn({ body }: Batch): string[] {
  return (JSON.parse(body) as { events: { id: string }[] }).events.map(({ id }) => id)
}

const OK = { kind: 'ok' } as const
const failed = (delayMs = 0) => ({ kind: 'retry', delayMs, error: 'it said 500' }) as const
const isNothing = (answer: Batch | Next): boolean => !('body' in answer) && answer.waitMs === undefined

export async function callbackQueueContract(t: Test, open: OpenQueue): Promise<void> {
  await t.test('facts come in order, in the form of the contract, and once they are told they are gone', async t => {
    const queue = await open(t)
    const data = '{"text":"Ö \\u00e4"}'
    await queue.add(ACME, 'c', [fact('a', { user: valid(parseUserId('7')), data }), fact('b')])
    await queue.add(ACME, 'c', [fact('c')])
    const batch = await take(queue)
    t.equal(
      batch.body,
      '{"site":"acme","events":[{"id":"a","type":"typing","at":1,"user":"7","data":{"text":"\\u00d6 \\u00e4"}},' +
        '{"id":"b","type":"typing","at":1},{"id":"c","type":"typing","at":1}]}',
    )
    t.match(batch.id, /^msg_[\w-]{24}$/)
    t.equal(batch.attempt, 1)
    t.ok(isNothing(await queue.done(ACME, 'c', batch, OK)))
    t.ok(isNothing(await queue.take(ACME)))
    t.match(await queue.status(ACME), { state: 'idle', depth: 0, oldest: undefined, error: undefined })
  })

  await t.test('a batch stays open for a while, unless it is full', async t => {
    const queue = await open(t)
    const { waitMs } = await queue.add(ACME, 'c', [fact('a')])
    t.equal(waitMs, CLOSE.ms)
    const early = await queue.take(ACME)
    t.notOk('body' in early)
    t.ok(valid((early as Next).waitMs) <= CLOSE.ms)
    const many = Array.from({ length: 120 }, (_, i) => fact(`f${i}`))
    t.equal((await queue.add(ACME, 'c', many)).waitMs, 0)
    const batch = (await queue.take(ACME)) as Batch
    t.equal(idsIn(batch).length, CLOSE.facts)
    const { waitMs: rest } = await queue.done(ACME, 'c', batch, OK)
    t.ok(valid(rest) <= CLOSE.ms)
    t.same(
      idsIn(await take(queue)),
      many.slice(99).map(({ id }) => id),
    )
  })

  await t.test('no body is over 20 kB, and data that would fit into none is left out', async t => {
    const queue = await open(t)
    const facts = [7000, 7000, 7000, 19_990, 7000].map((size, i) => fact(`f${i}`, { data: `"${'x'.repeat(size)}"` }))
    await queue.add(ACME, 'c', facts)
    const batches: Batch[] = []
    while (batches.flatMap(idsIn).length < facts.length) {
      const batch = await take(queue)
      t.ok(batch.body.length <= CLOSE.bytes)
      batches.push(batch)
      await queue.done(ACME, 'c', batch, OK)
    }
    t.same(batches.map(idsIn), [
      ['f0', 'f1'],
      ['f2', 'f3', 'f4'],
    ])
    t.match(JSON.parse(batches[1]!.body).events[1], { id: 'f3', data: undefined })
  })

  await t.test('a site is taken by one at a time, and others are not held up', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a')])
    await queue.add(GLOBEX, 'c', [fact('b')])
    const batch = await take(queue)
    t.ok(isNothing(await queue.add(ACME, 'c', [fact('c')])), 'whoever has it goes on')
    t.ok(isNothing(await queue.take(ACME)))
    t.match(await queue.status(ACME), { state: 'delivering', depth: 2 })
    t.same(idsIn(await take(queue, GLOBEX)), ['b'])
    t.equal(typeof (await queue.done(ACME, 'c', batch, OK)).waitMs, 'number')
    t.same(idsIn(await take(queue)), ['c'])
    t.ok(isNothing(await queue.done(ACME, 'c', batch, failed())), 'a token counts once')
    t.match(await queue.status(ACME), { state: 'delivering', error: undefined })
  })

  await t.test(
    'what failed comes again with the same id and body, counted, after the delay, before all else',
    async t => {
      const queue = await open(t)
      await queue.add(ACME, 'c', [fact('a'), state('b', '7', true)])
      const first = await take(queue)
      t.equal((await queue.done(ACME, 'c', first, failed(300))).waitMs, 300)
      t.ok(isNothing(await queue.add(ACME, 'c', [fact('c')])), 'it is not tried earlier for a new one')
      t.match(await queue.status(ACME), { state: 'waiting', depth: 3, error: { message: 'it said 500' } })
      t.ok(valid((await queue.status(ACME)).next) > Date.now())
      const early = await queue.take(ACME)
      t.ok(!('body' in early) && valid(early.waitMs) <= 300)
      const again = await take(queue)
      t.same([again.id, again.body, again.attempt], [first.id, first.body, 2])
      await queue.done(ACME, 'c', again, OK)
      t.match(await queue.status(ACME), { error: undefined, next: undefined })
      const next = await take(queue)
      t.not(next.id, first.id)
      t.same([idsIn(next), next.attempt], [['c'], 1])
    },
  )

  await t.test('a state takes the place of the one before it; of each only the last is told', async t => {
    const queue = await open(t)
    for (let i = 0; i < 5; i++) {
      await queue.add(ACME, 'c', [state(`on${i}`, '7', true), state(`off${i}`, '7', false), state(`o${i}`, '8', true)])
    }
    t.same(idsIn(await take(queue)), ['off4', 'o4'])
  })

  await t.test('a state that was overtaken by one that came earlier is not told, now or later', async t => {
    const queue = await open(t)
    const older = state('older', '7', true)
    const newer = state('newer', '7', false)
    await queue.add(ACME, 'c', [newer])
    await queue.add(ACME, 'c', [older])
    const batch = await take(queue)
    t.same(idsIn(batch), ['newer'])
    await queue.done(ACME, 'c', batch, OK)
    await queue.add(ACME, 'c', [older, newer])
    t.equal((await queue.status(ACME)).depth, 0)
  })

  await t.test('when a state is overtaken in what was tried, the rest comes under a new id', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [state('on', '7', true), fact('a')])
    const first = await take(queue)
    await queue.add(ACME, 'c', [state('off', '7', false)])
    await queue.done(ACME, 'c', first, failed())
    const again = await take(queue)
    t.not(again.id, first.id)
    t.same(idsIn(again), ['a', 'off'])
  })

  await t.test('a state that is overtaken while it is told is followed by the later one', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [state('on', '7', true), fact('a')])
    const first = await take(queue)
    await queue.add(ACME, 'c', [state('off', '7', false)])
    await queue.done(ACME, 'c', first, OK)
    t.same(idsIn(await take(queue)), ['off'])
  })

  await t.test('who is gone is told no more until it is configured anew, or asks for it', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a'), fact('b')])
    const gone = { kind: 'gone', error: 'it said 410' } as const
    t.same(await queue.done(ACME, 'c', await take(queue), gone), { waitMs: undefined, dropped: 2 })
    t.match(await queue.status(ACME), { state: 'gone', depth: 0, error: { message: 'it said 410' } })
    t.same(await queue.add(ACME, 'c', [fact('c')]), { waitMs: undefined, dropped: 1 })
    await queue.add(ACME, 'another', [fact('d')])
    const batch = await take(queue)
    t.same(idsIn(batch), ['d'])
    await queue.done(ACME, 'another', batch, gone)
    await queue.retry(ACME)
    await queue.add(ACME, 'another', [fact('e')])
    t.same(idsIn(await take(queue)), ['e'])
  })

  await t.test('a retry does away with the waiting, and keeps the id', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a')])
    const first = await take(queue)
    await queue.done(ACME, 'c', first, failed(600_000))
    t.same(await queue.due(), [])
    await queue.retry(ACME)
    t.same(await queue.due(), [ACME])
    t.equal((await take(queue)).id, first.id)
    t.same(await queue.due(), [])
  })

  await t.test('while a site is paused nobody takes it, what comes is kept, and then it goes on', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a')])
    await queue.done(ACME, 'c', await take(queue), failed(600_000))
    await queue.pause(ACME)
    await queue.pause(ACME)
    t.ok(isNothing(await queue.add(ACME, 'c', [fact('b'), state('on', '7', true)])))
    t.ok(isNothing(await queue.add(ACME, 'c', [state('off', '7', false)])))
    await queue.retry(ACME)
    t.same(await queue.due(), [])
    t.ok(isNothing(await queue.take(ACME)), 'not even for a retry')
    t.match(await queue.status(ACME), { state: 'paused', depth: 3, error: { message: 'it said 500' } })
    await queue.add(GLOBEX, 'c', [fact('x')])
    t.same(idsIn(await take(queue, GLOBEX)), ['x'], 'others go on')
    await queue.resume(ACME)
    t.same(await queue.due(), [ACME])
    const batch = await take(queue)
    t.same(idsIn(batch), ['a'])
    await queue.done(ACME, 'c', batch, OK)
    t.same(idsIn(await take(queue)), ['b', 'off'])
  })

  await t.test('what is under way when a site is paused comes to its end, good or bad', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a')])
    const first = await take(queue)
    await queue.pause(ACME)
    await queue.renew(new Map([[ACME, first]]))
    await queue.add(ACME, 'c', [fact('b')])
    t.ok(isNothing(await queue.done(ACME, 'c', first, OK)))
    t.match(await queue.status(ACME), { state: 'paused', depth: 1 })
    await queue.resume(ACME)
    const second = await take(queue)
    await queue.pause(ACME)
    t.ok(isNothing(await queue.done(ACME, 'c', second, failed())))
    t.ok(isNothing(await queue.take(ACME)))
    t.same(await queue.due(), [])
    await queue.resume(ACME)
    const again = await take(queue)
    t.same([again.id, again.attempt, idsIn(again)], [second.id, 2, ['b']])
  })

  await t.test('what is dropped is never told, and what comes next is, at once', async t => {
    const queue = await open(t)
    t.equal(await queue.drop(ACME), 0)
    const older = state('older', '7', false)
    await queue.add(ACME, 'c', [fact('a'), state('on', '7', true)])
    const first = await take(queue)
    await queue.done(ACME, 'c', first, failed(600_000))
    t.equal(await queue.drop(ACME), 2)
    t.match(await queue.status(ACME), { state: 'idle', depth: 0, next: undefined })
    t.same(await queue.due(), [])
    await queue.add(ACME, 'c', [fact('b'), older])
    const batch = await take(queue)
    t.not(batch.id, first.id)
    t.same([idsIn(batch), batch.attempt], [['b'], 1], 'and states keep their order')
  })

  for (const outcome of [OK, failed()]) {
    await t.test(`what comes after a drop stays, when what was under way ends with ${outcome.kind}`, async t => {
      const queue = await open(t)
      await queue.add(ACME, 'c', [fact('a'), state('on', '7', true)])
      const first = await take(queue)
      t.equal(await queue.drop(ACME), 2)
      await queue.add(ACME, 'c', [state('off', '7', false), fact('b')])
      t.ok(isNothing(await queue.take(ACME)), 'one at a time')
      await queue.done(ACME, 'c', first, outcome)
      t.equal((await queue.status(ACME)).depth, 2)
      const next = await take(queue)
      t.not(next.id, first.id)
      t.same(idsIn(next), ['off', 'b'])
    })
  }

  await t.test('410 to what was under way takes a pause no less serious', async t => {
    const queue = await open(t)
    await queue.add(ACME, 'c', [fact('a')])
    const batch = await take(queue)
    await queue.pause(ACME)
    await queue.done(ACME, 'c', batch, { kind: 'gone', error: 'it said 410' })
    t.equal((await queue.status(ACME)).state, 'paused')
    await queue.resume(ACME)
    t.equal((await queue.status(ACME)).state, 'gone')
  })

  await t.test(
    '10,000 users come and go while the origin is down: then it is told one state of each, and it is true',
    async t => {
      const queue = await open(t)
      const users = Array.from({ length: 10_000 }, (_, i) => String(i))
      const truth = new Map<string, boolean>()
      for (let round = 0; round < 4; round++) {
        const moving = users.filter(user => (Number(user) + round) % 3 !== 0)
        for (const part of chunks(moving, 200)) {
          const facts = part.flatMap((user, i) => {
            const online = truth.get(user) !== true
            truth.set(user, online)
            const facts = [state(`a${round}.${user}`, user, !online), state(`b${round}.${user}`, user, online)]
            // Nodes tell of what they did when they come to it.
            return i % 2 === 0 ? facts : facts.toReversed()
          })
          t.equal((await queue.add(ACME, 'c', facts)).dropped, 0)
        }
        await queue.done(ACME, 'c', await take(queue), failed())
      }
      t.equal((await queue.status(ACME)).depth, users.length)
      const told: [string, boolean][] = []
      while ((await queue.status(ACME)).depth > 0) {
        const batch = await take(queue)
        const { events } = JSON.parse(batch.body) as { events: { type: string; user: string }[] }
        for (const { type, user } of events) told.push([user, type === 'user.online'])
        await queue.done(ACME, 'c', batch, OK)
      }
      t.equal(told.length, users.length, 'one of each')
      t.same(
        told.filter(([user, online]) => truth.get(user) !== online),
        [],
        'no untrue one',
      )
      t.equal(new Set(told.map(([user]) => user)).size, users.length)
    },
  )

  await t.test(`of what has no state ${MOST.happenings} wait, and then still states`, async t => {
    const queue = await open(t)
    let dropped = 0
    for (let i = 0; i < MOST.happenings + 100; i += 100) {
      const facts = Array.from({ length: 100 }, (_, j) => fact(`f${i + j}`))
      dropped += (await queue.add(ACME, 'c', facts)).dropped
    }
    t.equal(dropped, 100)
    t.equal((await queue.add(ACME, 'c', [state('s', '7', true)])).dropped, 0)
    t.equal((await queue.status(ACME)).depth, MOST.happenings + 1)
  })
}
