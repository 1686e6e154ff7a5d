/**
 * `npm run bench`: every scenario, the ceiling and Throughline in turn, several rounds, medians of ratios. See README.md.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import type { Contestant } from './lib/contestant.ts'
import { pinSelf } from './lib/processes.ts'
import { measureShares } from './lib/shares.ts'
import { sleep } from './lib/turns.ts'
import { openFanOut, SOCKETS } from './load/fanout.ts'
import { ceiling } from './peers/bare.ts'
import { throughline } from './peers/throughline.ts'
import { report, type Pair, type Result } from './report.ts'
import { NAMES, type Scenario, scenarios } from './scenarios.ts'

const HELP = `npm run bench -- [options]
  --only a,b      only these scenarios: ${NAMES.join(', ')}
  --rounds n      how often the servers are started afresh (3)
  --pairs n       how often each is measured in a round, by turns (3)
  --seconds n     seconds of measuring in each run (1)
  --rate n        publishes per second through Redis; left out: found by trying what the ceiling can do
  --self          the ceiling in Throughline's place: how far from 1 this machine's ratios are by chance
  --patience n    seconds to spend, in all, on waiting for a quiet machine and on repeating what was disturbed (60)
  --check         exit with 1 when a budget is missed`
const PROBE_RATE = 5000
const NEAR_THE_LIMIT = 0.9
const OTHERS_AT_MOST = 0.1
const QUIET_MS = 200

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    pairs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
    rate: { type: 'string' },
    patience: { type: 'string', default: '60' },
    self: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

let patienceMs = positive('patience') * 1000
if (values.help) console.log(HELP)
else await main()

async function main(): Promise<void> {
  const chosen = new Set<string>(values.only?.split(',') ?? NAMES)
  const unknown = [...chosen].filter(name => !NAMES.some(known => known === name))
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(', ')}; there are ${NAMES.join(', ')}`)
  const other: Contestant = values.self ? { ...ceiling, name: 'ceiling again' } : throughline
  const pinned = pinSelf()
  const [cpu] = cpus()
  console.log(
    `Node ${process.version}, ${cpus().length} cores (${cpu?.model.trim()}); ` +
      (pinned ? 'servers on core 0, load on core 1' : 'NOT pinned: taskset is missing, so trust nothing'),
  )
  const rate = chosen.has('redis') ? await redisRate() : 0
  let kept = true
  for (const scenario of scenarios(rate).filter(({ name }) => chosen.has(name))) {
    const result = report(scenario, await play(scenario, other), other.name)
    console.log(result.text)
    kept &&= result.kept
  }
  console.log(`\nMedians, with the least and the most in brackets. It took ${Math.round(performance.now() / 1000)} s.`)
  if (values.check && !kept) process.exitCode = 1
}

/**
 * Each round starts both servers afresh; then they are measured by turns in short runs, since a machine's mood changes
 * within seconds. Who goes first changes too. A pair of runs during which others were busy is repeated, as long as
 * patience lasts.
 */
async function play(scenario: Scenario, other: Contestant): Promise<Pair[]> {
  if (scenario.once) return [{ ceiling: await playOnce(scenario, ceiling), other: await playOnce(scenario, other) }]
  const seconds = positive('seconds')
  const pairs: Pair[] = []
  for (let round = 0; round < positive('rounds'); round++) {
    const a = await scenario.open(ceiling)
    const b = await scenario.open(other)
    for (let left = positive('pairs'); left > 0; ) {
      await quiet()
      const start = performance.now()
      const [first, second] = left % 2 === 0 ? [a, b] : [b, a]
      const one = await first.measure(seconds)
      const two = await second.measure(seconds)
      if (patienceMs > 0 && Math.max(one['others'] ?? 0, two['others'] ?? 0) > OTHERS_AT_MOST) {
        patienceMs -= performance.now() - start
        continue
      }
      left -= 1
      pairs.push(first === a ? { ceiling: one, other: two } : { ceiling: two, other: one })
    }
    await Promise.all([a.close(), b.close()])
  }
  return pairs
}

async function playOnce(scenario: Scenario, contestant: Contestant): Promise<Result> {
  const session = await scenario.open(contestant)
  const result = await session.measure(positive('seconds'))
  await session.close()
  return result
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
 * Returns a rate near what two ceilings can do. Beyond it a backlog grows, and they deliver what they can: the second
 * try, at that rate, leaves them more of the core, as less is published.
 */
async function redisRate(): Promise<number> {
  if (values.rate !== undefined) return positive('rate')
  const first = await ceilingAt(PROBE_RATE)
  return Math.round(Math.max(first, await ceilingAt(first)) * NEAR_THE_LIMIT)
}

/** Returns how many publishes a second two ceilings deliver of those that are asked of them. */
async function ceilingAt(rate: number): Promise<number> {
  const session = await openFanOut(ceiling, { rate })
  const { deliveries = 0 } = await session.measure(1)
  await session.close()
  return Math.round(deliveries / SOCKETS)
}

function positive(name: 'rounds' | 'pairs' | 'seconds' | 'rate' | 'patience'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new Error(`--${name}: a number above 0 was expected, found ${values[name]}`)
  return value
}
