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

await t.test('in its grace a user counts as one connection, and is told as gone when it is over', async t => {
  const own = new Own()
  own.join(A, user(7), undefined)
  own.join(A, user(8), undefined)
  told(own)
  own.leave(A, user(7), 100)
  own.leave(A, user(8), 200)
  own.sweep(99)
  t.same(told(own), [])
  own.forget(() => true)
  t.same(told(own), ['a 7 1', 'a 8 1'])
  own.sweep(100)
  t.same(told(own), ['a 7 0'])
  own.sweep(1000)
  t.same(told(own), ['a 8 0'])
  t.equal(own.members, 0)
})

await t.test('who comes back within the grace was never gone', async t => {
  const own = new Own()
  own.join(A, user(7), undefined)
  own.leave(A, user(7), 100)
  own.join(A, user(7), undefined)
  told(own)
  own.sweep(100)
  t.same(told(own), [])
  own.leave(A, user(7), 150)
  own.join(A, user(7), undefined)
  own.leave(A, user(7), 300)
  told(own)
  own.sweep(150)
  t.same(told(own), [], 'the grace that counts is the last')
  own.sweep(300)
  t.same(told(own), ['a 7 0'])
})

await t.test('a leave of somebody who is not here is nothing', async t => {
  const own = new Own()
  own.leave(A, user(7))
  own.join(A, user(7), undefined)
  own.leave(A, user(7), 100)
  own.leave(A, user(7), 100)
  t.same(told(own), ['a 7 1'])
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
