import type { Contestant } from './lib/contestant.ts'
import { openBatch, openBatchOfOne, openSmall, openSmallTwo, openUsers, type Many } from './load/many.ts'
import { openFanOut, type Rate } from './load/fanout.ts'
import { openGrowth } from './load/growth.ts'
import { openLatency } from './load/latency.ts'
import { openMemory } from './load/memory.ts'
import type { Session } from './load/session.ts'
import { openStorm } from './load/storm.ts'
import { openTyping } from './load/typing.ts'
import { kibibytes, micros, microsPerSecond, perSecond, share } from './units.ts'

/** What DESIGN §15 asks of Throughline: a part of the ceiling's value, a multiple of it, or a value of its own. */
export type Budget =
  | { readonly atLeast: number }
  | { readonly atMost: number }
  | { readonly valueAtMost: number }
  | { readonly valueAtLeast: number }

/** One of the numbers that a run yields. */
export interface Row {
  readonly key: string
  readonly title: string
  readonly value: (result: Readonly<Record<string, number>>) => number
  readonly show: (value: number) => string
  /** Whether the ratio says something: not for what only shows that a run was sound. */
  readonly compared?: boolean
  readonly budget?: Budget
  /** What is asked of Throughline beside a peer (issue "As fast as the socket library allows"). */
  readonly against?: Readonly<Record<string, { readonly atLeast: number } | { readonly atMost: number }>>
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly rows: readonly Row[]
  /** Whether a server can be measured only once, and costs so much time that one server of each is enough. */
  readonly once?: true
  /** Whether so many sockets are open that contestants must be there one after the other: then they take turns by rounds. */
  readonly alone?: true
  /** Whether `npm run bench` leaves it out unless it is asked for it. */
  readonly more?: true
  open(contestant: Contestant): Promise<Session>
}

const KIB = 1024
const LESS = { atMost: 1 }
const SHARES = [
  row('server', 'core used by the server', share),
  row('client', 'core used by the load client', share),
  row('others', 'core used by others', share),
]

/** Returns all scenarios; `rate` is that of the one through Redis, in publishes per second. */
export function scenarios(rate: Rate): readonly Scenario[] {
  return [
    fanOutOf('fanout', 'Fan-out under overload: one thread, 1,000 sockets, 64 publishes in flight', 0.85, 64),
    fanOutOf('single', 'The same, one publish at a time', 0.9, 1),
    fanOutOf('redis', 'Published on one node, delivered by another through Redis, near the limit', 0.8, rate),
    {
      name: 'latency',
      title: 'Latency: 1,000 sockets in threads of 10, 500 publishes/s, request due to bytes received',
      open: openLatency,
      rows: [
        { ...row('p50', 'p50', micros), compared: true, budget: { atMost: 1.5 } },
        {
          ...row('p99', 'p99', micros),
          compared: true,
          budget: { atMost: 2.5 },
          against: { soketi: LESS, 'Socket.IO': LESS },
        },
        { ...row('p999', 'p99.9', micros), compared: true },
        row('publishes', 'publishes', perSecond),
        row('server', 'core used by the server', share),
        row('client', 'core used by the load client (never idle)', share),
        row('others', 'core used by others', share),
      ],
    },
    memoryOf('memory', 'Memory of an idle connection in one thread', 1, 3.5 * KIB),
    memoryOf('memory20', 'Memory of an idle connection in 20 threads of 10 members', 20, 9 * KIB),
    manyOf(
      'small',
      '10,000 sockets in 5,000 threads of 2, one event a request',
      openSmall,
      { atLeast: 0.5 },
      { soketi: { atLeast: 3 } },
    ),
    {
      ...manyOf('small2', 'The same, published on one node and delivered by another through Redis', openSmallTwo),
      rows: [
        ...costing('events', 'events', perSecond),
        row('server', 'core used by both nodes and Redis', share),
        row('redis', '  by Redis', share),
        row('first', '  by the node that is published on', share),
        row('last', '  by the node that delivers', share),
        row('client', 'core used by the load client', share),
        row('others', 'core used by others', share),
      ],
    },
    manyOf('batch', '10,000 sockets in 5,000 threads of 2, in batches of 100', openBatch),
    manyOf('batch1', 'The same, each batch in one thread', openBatchOfOne, { valueAtLeast: 150_000 }),
    manyOf('users', 'Personal chains: 5,000 users, each event to 10 of them', openUsers),
    {
      name: 'typing',
      title: 'Typing storm: 1,000 sockets in threads of 10, all of them send',
      more: true,
      open: openTyping,
      rows: [...costing('sends', 'sends', perSecond), ...SHARES],
    },
    stormOf('storm', 'Connection storm: upgraded, token (HS256) verified, subscribed', 'HS256', { atLeast: 0.6 }),
    stormOf('stormEdDSA', 'The same with EdDSA', 'EdDSA', { valueAtLeast: 4000 }),
    {
      name: 'presence',
      title: 'Presence: 1,000 come to one thread, and all there are told',
      more: true,
      open: contestant => openStorm(contestant, { seen: true, connections: 1000 }),
      rows: [...costing('connections', 'joins', perSecond), ...SHARES],
    },
    {
      name: 'growth',
      title: 'An idle connection among 100, 1,000, 10,000, in one thread',
      more: true,
      once: true,
      open: openGrowth,
      rows: [
        { ...row('bytes1000', 'resident, per connection from 100 to 1,000', kibibytes), compared: true },
        { ...row('bytes10000', 'resident, per connection from 1,000 to 10,000', kibibytes), compared: true },
        row('cpu100', 'processor time at rest, 100', microsPerSecond),
        row('cpu1000', 'processor time at rest, 1,000', microsPerSecond),
        row('cpu10000', 'processor time at rest, 10,000', microsPerSecond),
        { ...row('idle', '  per connection', microsPerSecond), compared: true, budget: { valueAtMost: 1 } },
      ],
    },
  ]
}

function fanOutOf(name: string, title: string, atLeast: number, job: number | Rate): Scenario {
  const twoNodes = typeof job !== 'number'
  const against = name === 'fanout' ? { soketi: { atLeast: 30 }, 'Socket.IO': { atLeast: 30 } } : undefined
  return {
    name,
    title,
    open: contestant => openFanOut(contestant, twoNodes ? { rate: job(contestant) } : { inFlight: job }),
    rows: [
      ...costing('deliveries', 'deliveries', perSecond, { atLeast }, undefined, against),
      row('publishes', 'publishes answered', perSecond),
      ...(twoNodes ? [row('kept', '  of those due', share)] : []),
      row('server', twoNodes ? 'core used by both nodes and Redis' : 'core used by the server', share),
      ...(twoNodes ? [row('last', '  by the node that delivers', share)] : []),
      row('client', 'core used by the load client', share),
      row('others', 'core used by others', share),
    ],
  }
}

function manyOf(name: string, title: string, open: Many, budget?: Budget, against?: Row['against']): Scenario {
  const rows = [...costing('events', 'events', perSecond, budget, undefined, against), ...SHARES]
  return { name, title, more: true, alone: true, open, rows }
}

function stormOf(name: string, title: string, algorithm: 'HS256' | 'EdDSA', budget: Budget): Scenario {
  return {
    name,
    title,
    more: true,
    open: contestant => openStorm(contestant, { algorithm, connections: 5000 }),
    // The ceiling has its clients connected faster than they can be opened: only its own time tells what it can do.
    rows: [...costing('connections', 'connections', perSecond, undefined, budget), ...SHARES],
  }
}

/** What is done in a second, and in a second of the server's processor time: that is what counts where the client is busy too. */
function costing(
  key: string,
  title: string,
  show: Row['show'],
  budget?: Budget,
  perCore?: Budget,
  against?: Row['against'],
): Row[] {
  return [
    { ...row(key, title, show), compared: true, ...(budget && { budget }), ...(against && { against }) },
    {
      key: `${key}PerCore`,
      title: `${title} per second of server time`,
      value: result => (result[key] ?? Number.NaN) / (result['server'] ?? Number.NaN),
      show,
      compared: true,
      ...(perCore && { budget: perCore }),
    },
  ]
}

function memoryOf(name: string, title: string, threads: number, valueAtMost: number): Scenario {
  return {
    name,
    title,
    once: true,
    open: contestant => openMemory(contestant, threads),
    rows: [
      {
        ...row('perConnection', 'resident, per connection', kibibytes),
        compared: true,
        budget: { valueAtMost },
        against: { soketi: LESS },
      },
      { ...row('fromTheStart', '  with what the first 1,000 cost', kibibytes), compared: true },
    ],
  }
}

function row(key: string, title: string, show: (value: number) => string): Row {
  return { key, title, value: result => result[key] ?? Number.NaN, show }
}

export function showBudget(budget: Budget, row: Row): string {
  if ('atLeast' in budget) return `≥ ${budget.atLeast} ×`
  if ('atMost' in budget) return `≤ ${budget.atMost} ×`
  return 'valueAtMost' in budget ? `≤ ${row.show(budget.valueAtMost)}` : `≥ ${row.show(budget.valueAtLeast)}`
}

/** Tells whether the median ratio to the ceiling and the median value are within the budget. */
export function keeps(budget: Budget, ratio: number, value: number): boolean {
  if ('atLeast' in budget) return ratio >= budget.atLeast
  if ('atMost' in budget) return ratio <= budget.atMost
  return 'valueAtMost' in budget ? value <= budget.valueAtMost : value >= budget.valueAtLeast
}
