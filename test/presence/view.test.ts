import { t } from 'tap'
import { View } from '../../src/presence/view.ts'
import { user } from '../contract/presence-store.ts'

const member = (id: number, connections = 1, info?: string) => ({ user: user(id), connections, info })
const snapshot = (version: number, ...ids: number[]) => ({
  version,
  count: ids.length,
  members: ids.map(id => member(id)),
})
const change = (prev: number, version: number, count: number, present: number[], left: number[] = []) => ({
  prev,
  version,
  count,
  present: present.map(id => member(id)),
  left: left.map(user),
})
const told = (view: View): string | undefined => {
  const difference = view.difference()
  if (difference === undefined) return undefined
  const { joined, left, count } = difference
  return `+${joined.map(({ user }) => user).join()} -${left.join()} =${count}`
}

await t.test('who comes and who goes is told once', async t => {
  const view = new View(snapshot(1, 7))
  t.equal(told(view), undefined)
  t.ok(view.apply(change(1, 2, 2, [8])))
  t.ok(view.apply(change(2, 3, 1, [], [7])))
  t.equal(told(view), '+8 -7 =1')
  t.equal(told(view), undefined)
})

await t.test('who goes and comes back, or comes and goes, between two tellings, is not told', async t => {
  const view = new View(snapshot(1, 7))
  view.apply(change(1, 2, 0, [], [7]))
  view.apply(change(2, 3, 2, [7, 8]))
  view.apply(change(3, 4, 1, [], [8]))
  t.equal(told(view), undefined)
})

await t.test('a number of connections is known and not told', async t => {
  const view = new View({ version: 1, count: 1, members: [member(7, 1, '"x"')] })
  t.ok(view.apply({ prev: 1, version: 2, count: 1, present: [member(7, 3)], left: [] }))
  t.equal(told(view), undefined)
  t.same(view.members, [member(7, 3, '"x"')], 'and the info stays')
})

await t.test('an old change is nothing, a missing one is noticed', async t => {
  const view = new View(snapshot(5, 7))
  t.ok(view.apply(change(3, 4, 2, [8])))
  t.equal(view.count, 1)
  t.notOk(view.apply(change(6, 7, 2, [8])))
  t.equal(view.count, 1)
})

await t.test('a snapshot that was read later is told as what it changes', async t => {
  const view = new View(snapshot(1, 7, 8))
  view.replace(snapshot(9, 8, 9))
  t.equal(told(view), '+9 -7 =2')
  t.ok(view.apply(change(9, 10, 3, [1])))
})

await t.test('too many to be named: only the number is told, until they are fewer', async t => {
  const view = new View({ version: 1, count: 501, members: undefined })
  t.equal(view.members, undefined)
  t.ok(view.apply({ prev: 1, version: 2, count: 502, present: undefined, left: undefined }))
  t.equal(told(view), '+ - =502')
  t.notOk(view.apply(change(2, 3, 500, [], [7])), 'named again: a snapshot has to be read')
  view.replace(snapshot(3, 1, 2))
  t.equal(told(view), '+1,2 - =2')
  t.notOk(view.apply({ prev: 3, version: 4, count: 501, present: undefined, left: undefined }))
  view.replace({ version: 4, count: 501, members: undefined })
  t.equal(told(view), '+ - =501')
})
