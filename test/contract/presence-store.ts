/** What every PresenceStore promises (src/presence/store.ts), run by test/presence/*.test.ts against each. */
import type { Test } from 'tap'
import type { UserId } from '../../src/protocol/ids.ts'
import { parseSiteId, parseThreadId, parseUserId } from '../../src/protocol/ids.ts'
import { presenceTopic, type Topic } from '../../src/protocol/topic.ts'
import { type Change, type Entry, MOST, type PresenceStore, type Snapshot } from '../../src/presence/store.ts'
import { View } from '../../src/presence/view.ts'
import { until } from '../support/until.ts'
import { valid } from './node.ts'

/** One node: its store, and what it was told. `follow` makes it hear of topics. */
export interface PresenceNode {
  readonly store: PresenceStore
  readonly changes: [Topic, Change][]
  /** Topics with + or -, and the version. */
  readonly crossings: [string, number][]
  readonly losses: ((topic: Topic) => boolean)[]
  readonly follow: (topics: readonly Topic[]) => Promise<void>
}

export type OpenPresence = (t: Test) => Promise<PresenceNode>

export const place = (thread: string, site = 'acme'): Topic =>
  presenceTopic(valid(parseSiteId(site)), valid(parseThreadId(thread)))
export const user = (id: string | number): UserId => valid(parseUserId(id))

export function entry(topic: Topic, id: string | number, connections: number, info?: string): Entry {
  return { topic, user: user(id), connections, info }
}

export async function see(store: PresenceStore, topic: Topic): Promise<Snapshot> {
  return valid((await store.read([topic]))[0])
}

/** Returns who is there: connections by user. */
export async function who(store: PresenceStore, topic: Topic): Promise<Record<string, number> | undefined> {
  const { members } = await see(store, topic)
  return members === undefined
    ? undefined
    : Object.fromEntries(members.map(({ user, connections }) => [user, connections]))
}

export async function presenceStoreContract(t: Test, open: OpenPresence): Promise<void> {
  await t.test('an empty topic has nobody', async t => {
    const { store } = await open(t)
    t.same(await see(store, place('nobody')), { version: 0, count: 0, members: [] })
  })

  await t.test('what is set can be read, with infos, each topic on its own', async t => {
    const { store } = await open(t)
    await store.set([
      entry(place('a'), 7, 2, '{"name":"Ö"}'),
      entry(place('a'), 8, 1),
      entry(place('b'), 7, 1),
      entry(place('a', 'globex'), 9, 1),
    ])
    t.same(await who(store, place('a')), { 7: 2, 8: 1 })
    t.same((await see(store, place('a'))).members?.find(({ user }) => user === '7')?.info, '{"name":"Ö"}')
    const [b, none, globex] = await store.read([place('b'), place('c'), place('a', 'globex')])
    t.equal(b?.count, 1)
    t.equal(none?.count, 0)
    t.same(
      globex?.members?.map(({ user }) => user),
      ['9'],
    )
  })

  await t.test('setting is idempotent: the same again tells nothing', async t => {
    const { store, changes, follow } = await open(t)
    await follow([place('a'), place('end')])
    await store.set([entry(place('a'), 7, 1)])
    await store.set([entry(place('a'), 7, 1), entry(place('a'), 8, 0)])
    await store.set([entry(place('end'), 7, 1)])
    await until(() => changes.some(([topic]) => topic === place('end')), { what: 'the last change' })
    t.equal(changes.filter(([topic]) => topic === place('a')).length, 1)
  })

  await t.test('a view that is fed with every change equals what is read, whatever happened', async t => {
    const { store, changes, follow } = await open(t)
    await follow([place('v')])
    const view = new View(await see(store, place('v')))
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let i = 0; i < 150; i++) {
      const entries = new Map(Array.from({ length: 1 + random(5) }, () => [random(12), random(3)]))
      await store.set(
        [...entries].map(([id, count]) => entry(place('v'), id, count, random(2) === 0 ? `"i${i}"` : undefined)),
      )
    }
    const { version, members, count } = await see(store, place('v'))
    await until(() => changes.at(-1)?.[1].version === version, { what: 'the last change' })
    for (const [, change] of changes) t.ok(view.apply(change))
    const sorted = (list: typeof members) =>
      [...valid(list)].map(({ user, connections }) => `${user} ${connections}`).toSorted()
    t.same(sorted(view.members), sorted(members))
    t.equal(view.count, count)
  })

  await t.test('the first user and the last are told, each once, with the version of the change', async t => {
    const { store, crossings } = await open(t)
    const [a, b] = [place('first'), place('last')]
    await store.set([entry(a, 7, 1), entry(a, 8, 1), entry(b, 7, 1)])
    const { version } = await see(store, a)
    await store.set([entry(a, 7, 0), entry(b, 7, 2), entry(place('nobody'), 7, 0)])
    await store.set([entry(a, 8, 0), entry(a, 9, 1)])
    await store.set([entry(a, 9, 0)])
    t.same(crossings.map(([what]) => what).toSorted(), [`+${a}`, `+${b}`, `-${a}`])
    const at = new Map(crossings)
    t.ok(valid(at.get(`+${a}`)) <= version)
    t.ok(valid(at.get(`-${a}`)) > version)
    t.ok(Math.abs(version / 1000 - Date.now()) < 60_000, 'versions are times')
  })

  await t.test(`above ${MOST} members they are only counted, below again named`, async t => {
    const { store, changes, follow } = await open(t)
    await follow([place('m')])
    const ids = Array.from({ length: MOST + 1 }, (_, i) => i)
    await store.set(ids.slice(0, MOST).map(id => entry(place('m'), id, 1)))
    t.equal((await see(store, place('m'))).members?.length, MOST)
    await store.set([entry(place('m'), MOST, 1)])
    t.match(await see(store, place('m')), { count: MOST + 1, members: undefined })
    const last = await until(() => changes.find(([, { count }]) => count === MOST + 1), { what: 'the change' })
    t.same([last[1].present, last[1].left], [undefined, undefined])
    await store.set([entry(place('m'), 0, 0)])
    t.equal((await see(store, place('m'))).members?.length, MOST)
  })

  await t.test('close takes out what was set', async t => {
    const { store, crossings } = await open(t)
    await store.set([entry(place('x'), 7, 1)])
    await store.close()
    t.equal(crossings.at(-1)?.[0], `-${place('x')}`)
    if ((await store.read([place('x')]).catch(() => undefined)) !== undefined) {
      const other = await open(t)
      t.same(await who(other.store, place('x')), {})
    }
  })
}
