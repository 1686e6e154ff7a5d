/**
 * Whatever happens to nodes, links, Redis and clients: in the end each client is whole, or knows that it is not, and asks.
 * Never the third thing. SEED repeats a run: it stands in every failure. RUNS sets how many worlds are tried.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { t } from 'tap'
import { SEED } from '../support/random.ts'
import type { Order, Outcome } from './worlds.ts'

const RUNS = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 1500 : 1))
const STEPS = 60

t.setTimeout(300_000)

await t.test(`each client ends whole, in ${RUNS} worlds of ${STEPS} steps (SEED=${SEED})`, async t => {
  const order: Order = { seed: SEED, runs: RUNS, steps: STEPS }
  const worker = new Worker(new URL('worlds.js', import.meta.url), { workerData: order })
  const [outcome] = (await once(worker, 'message')) as [Outcome]
  await worker.terminate()
  const { wrong, ...totals } = outcome
  if (wrong !== undefined) t.fail(`${wrong.what}; SEED=${wrong.seed} repeats it\n${wrong.steps.join('\n')}`)
  t.comment(JSON.stringify(totals))
  // A single world that is repeated may be a poor one.
  t.ok(RUNS < 100 || totals.shown > totals.worlds * 10, 'there was something to lose')
})
