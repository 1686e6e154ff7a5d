/** The scripted Redis answers, and publishes, what a real one does: else the property test would test something else. */
import { Redis } from 'ioredis'
import { t } from 'tap'
import { loadScript, type Script } from '../../src/redis/link.ts'
import { Chance, SEED } from '../support/random.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { Line, Server } from './scripted-redis.ts'

const CALLS = 3000
/** Stamps far ahead of any clock, so that they follow from the calls alone. */
const AHEAD = 4_000_000_000_000_000
const [ERA, HEADS, PUBLISH, GAP] = ['era', 'heads', 'publish', 'gap'].map(name => loadScript(`bus/${name}`)) as [
  Script,
  Script,
  Script,
  Script,
]

type Call = readonly [script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]]

await t.test(`${CALLS} calls have the same answers and messages (SEED=${SEED})`, async t => {
  const chance = new Chance(SEED)
  const server = await startRedis(t)
  const [redis, ear] = [new Redis(server.url), new Redis(server.url)]
  t.teardown(() => [redis, ear].forEach(each => each.disconnect()))
  const heard: string[] = []
  ear.on('message', (_channel, message) => heard.push(message))
  await ear.subscribe('c1', 'c2')

  const scripted = new Server({ now: Date.now() }, 0)
  const line = new Line(scripted, () => {})
  for (const channel of ['c1', 'c2']) line.channels.add(channel)

  // The first era is one that is begun with a newest stamp far ahead.
  for (let i = 0; i < CALLS; i++) {
    const [script, keys, args] = i === 0 ? ([ERA, ['e'], ['run', AHEAD, 0, '0']] as const) : call(chance, i)
    const real = await redis.eval(script.lua, keys.length, ...keys, ...args).catch((error: Error) => error.message)
    let mirrored: unknown
    try {
      mirrored = scripted.run(script, keys, args)
    } catch (error) {
      mirrored = (error as Error).message
    }
    if (JSON.stringify(real) === JSON.stringify(mirrored)) continue
    t.same(mirrored, real, `call ${i} of SEED=${SEED}: ${JSON.stringify([keys, args])}`)
    return
  }
  const told = line.inbox.flatMap(item => ('message' in item ? [item.message.toString('latin1')] : []))
  await until(() => heard.length >= told.length, { what: 'all messages' })
  t.same(heard, told)
  t.ok(told.length > CALLS / 4, 'there was something to hear')
})

function call(chance: Chance, i: number): Call {
  const chains = chance.pick([['1'], ['2'], ['1', '2']])
  const kind = chance.below(10)
  if (kind === 0) {
    const newest = AHEAD + chance.below(i * 2_000_000)
    return [ERA, ['e'], [chance.pick(['run', 'walk']), newest, AHEAD + 1_000_000, chance.pick(['0', '1'])]]
  }
  if (kind === 1) return [GAP, ['e', ...chains.flatMap(chain => [`h${chain}`, `c${chain}`])], ['PUBLISH']]
  if (kind < 4) return [HEADS, ['e', ...chains.map(chain => `h${chain}`)], [chains.length]]
  const hasId = chance.is(0.5)
  const id = chance.below(CALLS / 8)
  const names = chains.flatMap(chain => [`h${chain}`, `c${chain}`].concat(hasId ? `i${chain} ${id}` : []))
  const args = ['PUBLISH', chance.is(0.2) ? 'e' : 'o', hasId ? '1' : '0', chance.pick(['000', '002c1']), '{"stamp":']
  return [PUBLISH, ['e', ...names], [...args, Buffer.from(`,"data":${i}}`)]]
}
