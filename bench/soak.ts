/** `npm run soak`: clients and origins come, go and err for a while; then nothing of it may be left. See README.md. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { soak } from './soak/run.ts'

const HELP = `npm run soak -- [options]
  --seconds n   how long each of the two soaks lasts, without its end (180)
  --rate n      deeds a second (250)
  --seed n      what chance follows from; left out: any
  --only name   memory or redis`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    rate: { type: 'string', default: '250' },
    seed: { type: 'string', default: String(randomInt(2 ** 32)) },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
/** Over phases of a minute. */
const GROWTH = 1.1
const CASES: readonly [name: string, title: string, nodes?: number][] = [
  ['memory', 'one node, memory bus'],
  ['redis', 'two nodes, Redis', 2],
]

if (values.help) console.log(HELP)
else await main()

async function main(): Promise<void> {
  console.log(`Seed ${values.seed}, ${values.seconds} s each, ${values.rate} deeds a second.`)
  for (const [name, title, nodes] of CASES) {
    if (values.only !== undefined && values.only !== name) continue
    const options = {
      seconds: positive('seconds'),
      perSecond: positive('rate'),
      seed: positive('seed'),
      growth: GROWTH,
    }
    const { done, left } = await soak(nodes === undefined ? options : { ...options, nodesOnRedis: nodes })
    console.log(`\n## ${title}\n\n| what was done, and what came of it | count |\n| --- | --- |`)
    for (const [what, count] of done) console.log(`| ${what} | ${count} |`)
    console.log('\n| what was left | found | expected | |\n| --- | --- | --- | --- |')
    for (const { what, found, expected, ok } of left) {
      console.log(`| ${what} | ${found} | ${expected} | ${ok ? 'ok' : 'NOT OK'} |`)
      if (!ok) process.exitCode = 1
    }
  }
}

function positive(name: 'seconds' | 'rate' | 'seed'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new Error(`--${name}: a number above 0 was expected, found ${values[name]}`)
  return value
}
