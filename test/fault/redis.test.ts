/** A Redis that goes away and comes back, with all of its memory, some of it, or none (CONTRACT 27; DESIGN §7, eras). */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, t } from 'tap'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(300_000)

/** Milliseconds that Redis is away or deaf. */
const AWAY = 3000
const DEAF = 8000

interface Stage {
  readonly scene: Scene
  readonly redis: RedisServer
}

/** Two nodes under load, of whose clients two are asleep when the fault comes: they know only what was before. */
async function open(t: Test): Promise<Stage> {
  const redis = await startRedis(t)
  const scene = await Scene.open(t, { buses: [redis.url, redis.url] })
  scene.load()
  await scene.saved(40)
  return { scene, redis }
}

/** Lets the load rest for a moment, so that who falls asleep now knows all that there is. */
async function fallAsleep({ scene }: Stage): Promise<void> {
  scene.rest()
  await scene.quiet()
  for (const client of sleepers(scene)) client.leave()
}

async function wakeUp({ scene }: Stage): Promise<void> {
  for (const client of sleepers(scene)) client.connect()
  await scene.saved(40)
}

const sleepers = (scene: Scene) => scene.clients.slice(0, 2)

async function settle(t: Test, { scene }: Stage, fault: string): Promise<void> {
  const { dropped, published } = await scene.close(fault)
  t.equal(dropped, 0, 'no socket dropped')
  t.ok(published > 100, 'there was something to lose')
}

await t.test('Redis is stopped, and started again', async t => {
  const stage = await open(t)
  const { scene, redis } = stage
  await fallAsleep(stage)
  scene.load()
  await redis.stop()
  await scene.told('down')
  await sleep(AWAY)
  t.ok(scene.origin.refused > 0, 'publishes are refused meanwhile')
  await redis.restart()
  await scene.told('up')
  await wakeUp(stage)
  await settle(t, stage, 'Redis stopped and started')
})

await t.test('Redis is deaf for a while', async t => {
  const stage = await open(t)
  const { scene, redis } = stage
  await fallAsleep(stage)
  scene.load()
  redis.pause()
  await sleep(DEAF)
  await scene.told('down')
  redis.resume()
  await scene.told('up')
  await wakeUp(stage)
  await settle(t, stage, `Redis paused for ${DEAF / 1000} s`)
})

await t.test('Redis crashes and comes back empty', async t => {
  const stage = await open(t)
  const { scene, redis } = stage
  await fallAsleep(stage)
  scene.load()
  await scene.saved(40)
  await redis.restart()
  await scene.told('up')
  await wakeUp(stage)
  await settle(t, stage, 'Redis killed and restarted empty')
})

await t.test('Redis is emptied while all are connected', async t => {
  const stage = await open(t)
  const { scene, redis } = stage
  await fallAsleep(stage)
  scene.load()
  await scene.saved(40)
  await redis.cli('FLUSHALL')
  await scene.saved(40)
  await wakeUp(stage)
  await settle(t, stage, 'FLUSHALL')
})

await t.test('Redis comes back as it was some time ago', async t => {
  const stage = await open(t)
  const { scene, redis } = stage
  await fallAsleep(stage)
  // Its heads are those that the sleepers know; what comes now is forgotten, and the sleepers would not miss it.
  await redis.cli('SAVE')
  scene.load()
  await scene.saved(80)
  await redis.restart()
  await scene.told('up')
  // Before anything new could show them by its prev.
  scene.rest()
  await scene.quiet(scene.clients.slice(2))
  for (const client of sleepers(scene)) client.connect()
  await scene.quiet()
  t.same(
    scene.clients.flatMap(client => client.missing()),
    [],
    'all is told without another event',
  )
  scene.load()
  await wakeUp(stage)
  await settle(t, stage, 'Redis restored from an older snapshot')
})
