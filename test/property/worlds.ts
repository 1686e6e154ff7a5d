/**
 * Runs worlds, in a thread of its own: tap watches every promise of its thread, which would cost most of the time.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Chance } from '../support/random.ts'
import { VirtualTime } from './virtual-time.ts'
import { World } from './world.ts'

export interface Order {
  readonly seed: number
  readonly runs: number
  readonly steps: number
}

export interface Outcome {
  /** What was wrong in one world, if anything was. */
  readonly wrong?: { readonly what: string; readonly seed: number; readonly steps: readonly string[] }
  readonly worlds: number
  readonly shown: number
  /** But for first loads. */
  readonly questions: number
  readonly needless: number
}

const { seed, runs, steps } = workerData as Order
const totals = { worlds: 0, shown: 0, questions: 0, needless: 0 }
const time = new VirtualTime()
time.install()
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
parentPort!.postMessage(await work())

async function work(): Promise<Outcome> {
  for (let run = 0; run < runs; run++) {
    const own = (seed + run) % 2 ** 32
    const world = new World(time, new Chance(own))
    await world.begin()
    for (let step = 0; step < steps; step++) await world.step()
    const what = await world.heal()
    world.end()
    totals.worlds++
    for (const { questions, needless, shown } of world.clients) {
      totals.questions += questions.behind + questions.gap + questions.prev + questions.again
      totals.needless += needless
      for (const ids of shown.values()) totals.shown += ids.size
    }
    if (what !== undefined) return { ...totals, wrong: { what, seed: own, steps: world.steps } }
  }
  return totals
}
