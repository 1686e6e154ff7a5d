/** The network between one node and Redis, while the other node's is well. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, t } from 'tap'
import { startRedis } from '../support/redis.ts'
import { Scene } from '../support/scene.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

t.setTimeout(300_000)
const AWAY = 3000

async function open(t: Test) {
  const redis = await startRedis(t)
  const proxy = await TcpProxy.open(t, redis.address)
  const scene = await Scene.open(t, { buses: [proxy.url, redis.url] })
  scene.load()
  await scene.saved(40)
  const [far, near] = [scene.nodes[0]!, scene.nodes[1]!]
  return { redis, proxy, scene, far, near }
}

async function settle(t: Test, scene: Scene, fault: string): Promise<void> {
  await scene.saved(40)
  const { dropped } = await scene.close(fault)
  t.equal(dropped, 0, 'no socket dropped')
  const elsewhere = scene.clients.filter(({ node }) => node === scene.nodes[1])
  t.ok(elsewhere.length > 0)
  t.same(
    elsewhere.flatMap(({ statuses }) => statuses),
    [],
    'the other node was never down',
  )
}

await t.test('links are cut, again and again', async t => {
  const { scene, proxy, far } = await open(t)
  for (let times = 0; times < 3; times++) {
    proxy.cut()
    await scene.told('down', [far])
    await scene.told('up', [far])
  }
  await settle(t, scene, 'links to Redis cut three times')
})

await t.test('Redis cannot be reached for a while', async t => {
  const { scene, proxy, far } = await open(t)
  proxy.part()
  await scene.told('down', [far])
  await sleep(AWAY)
  proxy.mend()
  await scene.told('up', [far])
  await settle(t, scene, `no way to Redis for ${AWAY / 1000} s`)
})

await t.test('links go silent without a reset', async t => {
  const { scene, proxy, far } = await open(t)
  proxy.stall()
  await scene.told('down', [far])
  await scene.told('up', [far])
  await settle(t, scene, 'links to Redis half open')
})

await t.test('only the link that events come through goes silent', async t => {
  const { scene, proxy, far } = await open(t)
  proxy.stall('subscribing')
  await scene.told('down', [far])
  await scene.told('up', [far])
  await settle(t, scene, 'the subscribing link to Redis half open')
})

await t.test('only the link that commands go through goes silent', async t => {
  const { scene, proxy, far } = await open(t)
  proxy.stall('commanding')
  await scene.told('down', [far])
  await scene.told('up', [far])
  await settle(t, scene, 'the commanding link to Redis half open')
})
