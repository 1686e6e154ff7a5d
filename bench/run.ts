/**
 * `npm run bench`: every scenario, the ceiling, Throughline and peers in turn, several rounds, medians of ratios. See README.md.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { redisCost } from './capacity/redis-cost.ts'
import type { Contestant } from './lib/contestant.ts'
import { pinSelf } from './lib/processes.ts'
import { measureShares } from './lib/shares.ts'
import { sleep } from './lib/turns.ts'
import { openFanOut, SOCKETS } from './load/fanout.ts'
import type { Session } from './load/session.ts'
import { ceiling } from './peers/bare.ts'
import { installPeers } from './peers/installed.ts'
import { socketIo } from './peers/socket-io.ts'
import { soketi } from './peers/soketi.ts'
import { throughline } from './peers/throughline.ts'
import { type Report, reportOf, type Result, type Round, tableOf } from './report.ts'
import { type Scenario, scenarios } from './scenarios.ts'

const NAMES = scenarios(() => 0).map(({ name }) => name)
const HELP = `npm run bench -- [options]
  --all           all scenarios, not only those that are done in five minutes
  --only a,b      only these scenarios: ${NAMES.join(', ')}
  --peers         soketi and Socket.IO too, installed when they are not there
  --rounds n      how often the servers are started afresh (3)
  --pairs n       how often each is measured in a round, by turns (3)
  --seconds n     seconds of measuring in each run (1)
  --rate n        publishes per second through Redis, for the ceiling and Throughline; left out: found by trying what the ceiling can do
  --self          the ceiling in Throughline's place: how far from 1 this machine's ratios are by chance
  --patience n    seconds to spend, in all, on waiting for a quiet machine and on repeating what was disturbed (60)
  --json file     write the results, for bench/chart.ts and bench/model.ts
  --check         exit with 1 when a budget is missed`
const NEAR_THE_LIMIT = 0.9
const OTHERS_AT_MOST = 0.1
const QUIET_MS = 200

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    pairs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
    rate: { type: 'string' },
    patience: { type: 'string', default: '60' },
    json: { type: 'string' },
    self: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

let patienceMs = positive('patience') * 1000
if (values.help) console.log(HELP)
else await main()

async function main(): Promise<void> {
  const only = values.only?.split(',')
  const unknown = only?.filter(name => !NAMES.includes(name)) ?? []
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(', ')}; there are ${NAMES.join(', ')}`)
  if (values.peers) installPeers()
  const contestants: Contestant[] = [
    ceiling,
    values.self ? { ...ceiling, name: 'ceiling again' } : throughline,
    ...(values.peers ? [soketi, socketIo] : []),
  ]
  const pinned = pinSelf()
  const machine = `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()})`
  console.log(
    `${machine}; ` +
      (pinned ? 'servers on core 0, load on core 1' : 'NOT pinned: taskset is missing, so trust nothing'),
  )
  const rates = new Map<Contestant, number>()
  const chosen = scenarios(contestant => rates.get(contestant) ?? 0).filter(
    ({ name, more }) => only?.includes(name) ?? (values.all || more !== true),
  )
  if (chosen.some(({ name }) => name === 'redis')) await findRates(contestants, rates)
  const redis = values.all && values.json !== undefined ? await redisCost() : undefined
  const reports: Report[] = []
  for (const scenario of chosen) {
    const there = contestants.filter(({ lacks }) => lacks?.includes(scenario.name) !== true)
    const report = reportOf(
      scenario,
      there.map(({ name }) => name),
      await play(scenario, there),
    )
    reports.push(report)
    console.log(tableOf(report, scenario.rows))
  }
  const seconds = Math.round(performance.now() / 1000)
  console.log(`\nMedians, with the least and the most in brackets. It took ${seconds} s.`)
  if (values.json !== undefined) {
    const date = new Date().toISOString().slice(0, 10)
    const command = `npm run bench -- ${process.argv.slice(2).join(' ')}`.replace(/ --json \S+/, '')
    writeFileSync(values.json, `${JSON.stringify({ date, command, machine, seconds, redis, reports }, null, 1)}\n`)
  }
  const kept = reports.every(({ lines }) => lines.every(line => line.kept !== false))
  if (values.check && !kept) process.exitCode = 1
}

/**
 * Each round starts all servers afresh; then they are measured by turns in short runs, since a machine's mood changes
 * within seconds. Who goes first changes too. What was measured while others were busy is repeated, as long as
 * patience lasts.
 */
async function play(scenario: Scenario, contestants: readonly Contestant[]): Promise<Round[]> {
  const seconds = positive('seconds')
  if (scenario.once) {
    const results: Result[] = []
    for (const contestant of contestants) {
      const session = await scenario.open(contestant)
      results.push(await session.measure(seconds))
      await session.close()
    }
    return [results]
  }
  const rounds: Round[] = []
  for (let round = 0; round < positive('rounds'); round++) {
    if (!scenario.alone) rounds.push(...(await playRound(scenario, contestants, seconds)))
    else {
      const each: Round[][] = []
      for (const contestant of contestants) each.push(await playRound(scenario, [contestant], seconds))
      rounds.push(...each[0]!.map((_, turn) => each.map(results => results[turn]![0]!)))
    }
  }
  return rounds
}

/** Starts the servers, measures each so many times, and returns what they did in each turn. */
async function playRound(scenario: Scenario, contestants: readonly Contestant[], seconds: number): Promise<Round[]> {
  const rounds: Round[] = []
  const sessions: Session[] = []
  for (const contestant of contestants) sessions.push(await scenario.open(contestant))
  for (let left = positive('pairs'); left > 0; ) {
    await quiet()
    const start = performance.now()
    const results: Result[] = []
    for (let i = 0; i < sessions.length; i++) {
      const who = (i + left) % sessions.length
      results[who] = await sessions[who]!.measure(seconds)
    }
    if (patienceMs > 0 && Math.max(...results.map(({ others = 0 }) => others)) > OTHERS_AT_MOST) {
      patienceMs -= performance.now() - start
      continue
    }
    left -= 1
    rounds.push(results)
  }
  await Promise.all(sessions.map(session => session.close()))
  return rounds
}

/** Waits for a moment in which nobody else does anything here, as long as patience lasts. */
async function quiet(): Promise<void> {
  for (;;) {
    const measure = measureShares([])
    await sleep(QUIET_MS)
    if (measure().others <= OTHERS_AT_MOST || patienceMs <= 0) return
    patienceMs -= QUIET_MS
  }
}

/**
 * Finds a rate near what two nodes of each can do; Throughline's is the ceiling's. Beyond it a backlog grows, and they
 * deliver what they can: the second try, at that rate, leaves them more of the core, as less is published.
 */
async function findRates(contestants: readonly Contestant[], rates: Map<Contestant, number>): Promise<void> {
  const [first, measured, ...others] = contestants as [Contestant, Contestant, ...Contestant[]]
  for (const contestant of [first, ...others]) {
    const tried = await deliveredOf(contestant, contestant.tryAt)
    rates.set(contestant, Math.round(Math.max(tried, await deliveredOf(contestant, tried)) * NEAR_THE_LIMIT))
  }
  if (values.rate !== undefined) rates.set(first, positive('rate'))
  rates.set(measured, rates.get(first) ?? 0)
  console.log(`Through Redis: ${contestants.map(who => `${who.name} at ${rates.get(who)}/s`).join(', ')}`)
}

/** Returns how many publishes a second two nodes deliver of those that are asked of them. */
async function deliveredOf(contestant: Contestant, rate: number): Promise<number> {
  const session = await openFanOut(contestant, { rate })
  const { deliveries = 0 } = await session.measure(1)
  await session.close()
  return Math.max(1, Math.round(deliveries / SOCKETS))
}

function positive(name: 'rounds' | 'pairs' | 'seconds' | 'rate' | 'patience'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new Error(`--${name}: a number above 0 was expected, found ${values[name]}`)
  return value
}
