import type { Contestant } from './lib/contestant.ts'
import { type FanOutJob, openFanOut } from './load/fanout.ts'
import { openLatency } from './load/latency.ts'
import { openMemory } from './load/memory.ts'
import type { Session } from './load/session.ts'

/** What DESIGN §15 asks of Throughline: a part of the ceiling's value, a multiple of it, or a value of its own. */
export type Budget = { readonly atLeast: number } | { readonly atMost: number } | { readonly valueAtMost: number }

/** One of the numbers that a run yields. */
export interface Row {
  readonly title: string
  readonly value: (result: Readonly<Record<string, number>>) => number
  readonly show: (value: number) => string
  /** Whether the ratio of both says something: not for what only shows that a run was sound. */
  readonly compared?: boolean
  readonly budget?: Budget
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly rows: readonly Row[]
  /** Whether a server can be measured only once, and costs so much time that one server of each is enough. */
  readonly once?: true
  open(contestant: Contestant): Promise<Session>
}

export const NAMES = ['fanout', 'single', 'redis', 'latency', 'memory', 'memory20'] as const
const KIB = 1024

/** Returns all scenarios; `rate` is that of the one through Redis, in publishes per second. */
export function scenarios(rate: number): readonly Scenario[] {
  return [
    fanOutOf('fanout', 'Fan-out under overload: one thread, 1,000 sockets, 64 publishes in flight', 0.85, {
      inFlight: 64,
    }),
    fanOutOf('single', 'The same, one publish at a time', 0.9, { inFlight: 1 }),
    fanOutOf('redis', `Published on one node, delivered by another through Redis, at ${rate}/s`, 0.8, { rate }),
    {
      name: 'latency',
      title: 'Latency: 1,000 sockets in threads of 10, 500 publishes/s, request due to bytes received',
      open: openLatency,
      rows: [
        { ...row('p50', 'p50', micros), compared: true, budget: { atMost: 1.5 } },
        { ...row('p99', 'p99', micros), compared: true, budget: { atMost: 2.5 } },
        row('publishes', 'publishes', perSecond),
        row('server', 'core used by the server', share),
        row('client', 'core used by the load client (never idle)', share),
        row('others', 'core used by others', share),
      ],
    },
    memoryOf('memory', 'Memory of an idle connection in one thread', 1, 3.5 * KIB),
    memoryOf('memory20', 'Memory of an idle connection in 20 threads of 10 members', 20, 9 * KIB),
  ]
}

function fanOutOf(name: string, title: string, atLeast: number, job: FanOutJob): Scenario {
  const twoNodes = 'rate' in job
  return {
    name,
    title,
    open: contestant => openFanOut(contestant, job),
    rows: [
      { ...row('deliveries', 'deliveries', perSecond), compared: true, budget: { atLeast } },
      {
        title: 'deliveries per second of server time',
        value: ({ deliveries = Number.NaN, server = Number.NaN }) => deliveries / server,
        show: perSecond,
        compared: true,
      },
      row('publishes', 'publishes answered', perSecond),
      ...(twoNodes ? [row('kept', '  of those due', share)] : []),
      row('server', twoNodes ? 'core used by both nodes and Redis' : 'core used by the server', share),
      ...(twoNodes ? [row('last', '  by the node that delivers', share)] : []),
      row('client', 'core used by the load client', share),
      row('others', 'core used by others', share),
    ],
  }
}

function memoryOf(name: string, title: string, threads: number, valueAtMost: number): Scenario {
  return {
    name,
    title,
    once: true,
    open: contestant => openMemory(contestant, threads),
    rows: [
      { ...row('perConnection', 'resident, per connection', kibibytes), compared: true, budget: { valueAtMost } },
      { ...row('fromTheStart', '  with what the first 1,000 cost', kibibytes), compared: true },
    ],
  }
}

function row(key: string, title: string, show: (value: number) => string): Row {
  return { title, value: result => result[key] ?? Number.NaN, show }
}

export function showBudget(budget: Budget, row: Row): string {
  if ('atLeast' in budget) return `≥ ${budget.atLeast} ×`
  if ('atMost' in budget) return `≤ ${budget.atMost} ×`
  return `≤ ${row.show(budget.valueAtMost)}`
}

/** Tells whether the median ratio and the median value are within the budget. */
export function keeps(budget: Budget, ratio: number, value: number): boolean {
  if ('atLeast' in budget) return ratio >= budget.atLeast
  if ('atMost' in budget) return ratio <= budget.atMost
  return value <= budget.valueAtMost
}

function perSecond(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M/s`
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k/s` : `${value.toFixed(0)} /s`
}

function share(value: number): string {
  return `${(value * 100).toFixed(0)} %`
}

function micros(value: number): string {
  return `${value.toFixed(0)} µs`
}

function kibibytes(value: number): string {
  return `${(value / KIB).toFixed(2)} KiB`
}
