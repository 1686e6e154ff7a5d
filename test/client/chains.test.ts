/**
 * Whatever a chain goes through, a page is given each event once and in order. Pure: the relay, the origin and the hub
 * are a few lines each, and chance decides what befalls them. SEED repeats a run.
 */
import { t } from 'tap'
import { createChains } from '#client/chains.js'
import type { EventFrame } from '#client/frames.js'
import type { FetchedEvent, Place } from '#client/port.js'
import { Chance, SEED } from '../support/random.ts'

const RUNS = Number(process.env['RUNS'] ?? 2000)
const STEPS = 80
const CHAIN = 'thread:1'

type Stamped = EventFrame & { readonly stamp: number; readonly prev: number; readonly type: string }

/** One chain, its relay, its origin and a page; everything on its way is here. */
class World {
  readonly chance: Chance
  readonly events: Stamped[] = []
  readonly given: string[] = []
  readonly chains = createChains(
    ({ id }) => this.given.push(id),
    (places, _, isPoll) => {
      const { after, stamp } = places[CHAIN]!
      this.wanted = { place: { after, stamp }, isPoll: isPoll && (this.wanted?.isPoll ?? true) }
    },
    () => {},
  )
  wanted: { place: Place; isPoll: boolean } | undefined
  asked: { isPoll: boolean; answer: FetchedEvent[] } | undefined
  /** What the relay has sent and the page has not read. */
  wire: (() => void)[] = []
  isConnected = false
  since: number | undefined
  questions = 0

  constructor(seed: number) {
    this.chance = new Chance(seed)
    this.chains.follow(CHAIN, undefined)
  }

  get head(): number {
    return this.events.at(-1)?.stamp ?? 10
  }

  publish(): void {
    const prev = this.head
    const event: Stamped = {
      op: 'event',
      chain: CHAIN,
      id: `e${this.events.length}`,
      type: 'm',
      prev,
      stamp: prev + 1 + this.chance.below(5),
    }
    this.events.push(event)
    if (!this.isConnected) return
    // The node may miss it, and says so then, or lets the next `prev` say it.
    if (this.chance.is(0.1)) {
      if (this.chance.is(0.5)) this.say(head => this.chains.gap({ [CHAIN]: head }, 0))
    } else {
      this.wire.push(() => this.chains.event(event))
      if (this.chance.is(0.05)) this.wire.push(() => this.chains.event(event))
    }
  }

  say(tell: (head: number) => void): void {
    const { head } = this
    this.wire.push(() => {
      this.since = head
      tell(head)
    })
  }

  connect(): void {
    if (this.isConnected) return
    this.isConnected = true
    const { head, since } = this
    const state = since === undefined ? 'new' : since === head && this.chance.is(0.9) ? 'current' : 'behind'
    this.say(() => this.chains.joined({ [CHAIN]: { head, state } }))
  }

  drop(): void {
    if (!this.isConnected) return
    this.isConnected = false
    this.wire = []
    this.chains.lost()
  }

  read(): void {
    this.wire.shift()?.()
  }

  ask(): void {
    if (!this.wanted || this.asked) return
    const { place, isPoll } = this.wanted
    this.wanted = undefined
    this.chains.asking({ [CHAIN]: place })
    const from = this.events.findIndex(({ id }) => id === place.after) + 1
    // The origin may answer with more than it was asked for; some tell stamps.
    const slack = this.chance.below(3)
    const hasStamps = this.chance.is(0.3)
    const answer = this.events
      .slice(Math.max(0, from - slack))
      .map(({ id, type, stamp }) => (hasStamps ? { id, type, stamp } : { id, type }))
    this.asked = { isPoll, answer }
    this.questions++
  }

  answer(): void {
    const { asked } = this
    if (!asked) return
    this.asked = undefined
    if (this.chance.is(0.8)) this.chains.fetched(CHAIN, asked.answer)
    else if (asked.isPoll) this.chains.fetched(CHAIN, undefined)
    else this.chains.reopened()
  }

  step(): void {
    const steps = [
      () => this.publish(),
      () => this.publish(),
      () => this.read(),
      () => this.read(),
      () => this.ask(),
      () => this.answer(),
      () => this.connect(),
      () => this.chance.is(0.2) && this.drop(),
      () => !this.isConnected && this.chains.poll(),
      () => this.chance.is(0.1) && this.chains.reopened(),
    ]
    this.chance.pick(steps)()
  }

  /** Lets all faults end: the page must then be whole. */
  settle(): void {
    this.connect()
    this.publish()
    this.say(head => this.chains.gap({ [CHAIN]: head }, 0))
    for (let n = 0; n < 1000 && (this.wire.length > 0 || this.wanted || this.asked); n++) {
      this.read()
      this.ask()
      this.answer()
    }
  }
}

await t.test(`each event is given once and in order, in ${RUNS} worlds of ${STEPS} steps (SEED=${SEED})`, async t => {
  let questions = 0
  for (let run = 0; run < RUNS; run++) {
    const world = new World(SEED + run)
    for (let step = 0; step < STEPS; step++) world.step()
    world.settle()
    questions += world.questions
    const wanted = world.events.map(({ id }) => id).join(' ')
    if (world.given.join(' ') === wanted && world.chains.isWhole()) continue
    t.fail(`SEED=${SEED + run} RUNS=1 repeats it:\n${world.given.join(' ')}\n${wanted}`)
    break
  }
  t.ok(questions > RUNS, 'there was something to lose')
})

await t.test('a receipt is given back when the page has the event, not before, be it by the answer', async t => {
  const receipts: unknown[] = []
  const chains = createChains(
    () => {},
    () => {},
    receipt => receipt && receipts.push(receipt),
  )
  chains.follow(CHAIN, 1)
  chains.joined({ [CHAIN]: { head: 1, state: 'current' } })
  chains.event({ op: 'event', chain: CHAIN, id: 'e3', type: 'm', stamp: 3, prev: 2, receipt: 'r3' })
  t.same(receipts, [])
  chains.asking({ [CHAIN]: {} })
  chains.fetched(CHAIN, [
    { id: 'e2', type: 'm' },
    { id: 'e3', type: 'm' },
  ])
  t.same(receipts, ['r3'])
})

await t.test('while nothing is missed nothing is asked', async t => {
  const asked: unknown[] = []
  const given: string[] = []
  const chains = createChains(
    ({ id }) => given.push(id),
    places => asked.push(places),
    () => {},
  )
  chains.follow(CHAIN, 10)
  chains.joined({ [CHAIN]: { head: 10, state: 'current' } })
  for (let stamp = 11; stamp < 20; stamp++)
    chains.event({ op: 'event', chain: CHAIN, id: `e${stamp}`, type: 'm', stamp, prev: stamp - 1 })
  chains.lost()
  t.notOk(chains.isWhole())
  chains.joined({ [CHAIN]: { head: 19, state: 'current' } })
  t.ok(chains.isWhole())
  t.equal(given.length, 9)
  t.same(asked, [])
})

await t.test('a flood of events that wait is dropped, and asked for after the answer', async t => {
  const asked: Record<string, Place>[] = []
  const given: string[] = []
  const chains = createChains(
    ({ id }) => given.push(id),
    places => asked.push(places),
    () => {},
  )
  const event = (stamp: number): Stamped => ({
    op: 'event',
    chain: CHAIN,
    id: `e${stamp}`,
    type: 'm',
    stamp,
    prev: stamp - 1,
  })
  chains.follow(CHAIN, 0)
  chains.joined({ [CHAIN]: { head: 1, state: 'behind' } })
  chains.asking(asked[0]!)
  for (let stamp = 2; stamp <= 1500; stamp++) chains.event(event(stamp))
  chains.fetched(CHAIN, [event(1)])
  t.equal(asked.length, 2)
  chains.asking(asked[1]!)
  chains.fetched(
    CHAIN,
    Array.from({ length: 1499 }, (_, n) => event(n + 2)),
  )
  t.same(
    given,
    Array.from({ length: 1500 }, (_, n) => `e${n + 1}`),
  )
  t.ok(chains.isWhole())
})

await t.test(
  'an own event on a connection that tabs share is asked for, unless this page has said that it is its own',
  async t => {
    const asked: Record<string, Place>[] = []
    const chains = createChains(
      () => {},
      places => asked.push(places),
      () => {},
    )
    const own = (stamp: number): EventFrame & { shared: boolean } => ({
      op: 'event',
      chain: CHAIN,
      id: `e${stamp}`,
      stamp,
      prev: stamp - 1,
      own: true,
      shared: true,
    })
    chains.follow(CHAIN, 1)
    chains.joined({ [CHAIN]: { head: 1, state: 'current' } })
    chains.saw('e2')
    chains.event(own(2))
    t.same(asked, [])
    chains.event(own(3))
    t.same(asked, [{ [CHAIN]: { after: 'e2', stamp: 2 } }])
  },
)
