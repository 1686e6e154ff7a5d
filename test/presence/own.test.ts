import { t } from 'tap'
import { Own } from '../../src/presence/own.ts'
import { place, user } from '../contract/presence-store.ts'

const A = place('a')
const B = place('b')
const told = (own: Own): string[] =>
  own.takeUntold().map(({ topic, user, connections }) => `${topic.slice(-1)} ${user} ${connections}`)

await t.test('what changed is told once, with the number of connections', async t => {
  const own = new Own()
  own.join(A, user(7), '1')
  own.join(A, user(7), undefined)
  own.join(B, user(8), undefined)
  t.same(told(own), ['a 7 2', 'b 8 1'])
  t.same(told(own), [])
  t.equal(own.members, 2)
  own.leave(A, user(7))
  own.leave(B, user(8))
  t.same(told(own), ['a 7 1', 'b 8 0'])
  t.equal(own.members, 1)
})

await t.test('who comes and goes between two tellings is told as gone, which changes nothing', async t => {
  const own = new Own()
  own.join(A, user(7), undefined)
  own.leave(A, user(7))
  t.same(told(own), ['a 7 0'])
})

await t.test('a leave of somebody who is not here is nothing', async t => {
  const own = new Own()
  own.leave(A, user(7))
  own.join(A, user(7), undefined)
  own.leave(A, user(7))
  own.leave(A, user(7))
  t.same(told(own), ['a 7 0'])
  t.equal(own.members, 0)
})

await t.test('what could not be told is told as it is by then', async t => {
  const own = new Own()
  own.join(A, user(7), undefined)
  const entries = own.takeUntold()
  own.join(A, user(7), undefined)
  own.giveBack(entries)
  t.same(told(own), ['a 7 2'])
})

await t.test('only the topics in question are told again', async t => {
  const own = new Own()
  own.join(A, user(7), undefined)
  own.join(B, user(7), undefined)
  told(own)
  own.forget(topic => topic === B)
  t.same(told(own), ['b 7 1'])
})

await t.test('many members of one thread are counted like few', async t => {
  const own = new Own()
  const ids = Array.from({ length: 100 }, (_, i) => i)
  for (const id of [...ids, ...ids]) own.join(A, user(id), `"${id}"`)
  t.equal(own.members, 100)
  for (const id of ids.slice(0, 90)) own.leave(A, user(id))
  const untold = own.takeUntold()
  t.same(
    untold.map(({ connections }) => connections),
    ids.map(id => (id < 90 ? 1 : 2)),
  )
  t.equal(untold[5]?.info, '"5"')
  for (const id of ids) own.leave(A, user(id))
  for (const id of ids) own.leave(A, user(id))
  t.equal(own.members, 0)
  t.ok(own.takeUntold().every(({ connections, info }) => connections === 0 && info === undefined))
})
