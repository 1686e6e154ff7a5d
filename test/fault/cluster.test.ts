/** A Redis Cluster under load that changes while events go through it. */
import { type Test, t } from 'tap'
import { moveSlot, startCluster } from '../support/redis.ts'
import { Scene } from '../support/scene.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

async function settle(t: Test, scene: Scene, fault: string): Promise<void> {
  const { dropped } = await scene.close(fault)
  t.equal(dropped, 0, 'no socket dropped')
}

await t.test('a slot moves to another master', async t => {
  const { url, masters } = await startCluster(t)
  const scene = await Scene.open(t, { buses: [url, url] })
  scene.load()
  await scene.saved(40)
  const [from, to] = masters
  const head = (await from!.entries()).find(({ key }) => key.includes(':h:'))!.key
  await moveSlot(head, from!, to!, masters)
  await scene.saved(120)
  await settle(t, scene, 'a cluster slot moved')
})

await t.test('a master dies, and its replica takes over', async t => {
  const { url, masters } = await startCluster(t, 1)
  const scene = await Scene.open(t, { buses: [url, url] })
  scene.load()
  await scene.saved(40)
  await masters[0]!.kill()
  await scene.told('down')
  await until(async () => (await masters[1]!.cli('CLUSTER', 'INFO')).includes('cluster_slots_ok:16384'), {
    what: 'the cluster to be whole',
  })
  await scene.told('up')
  await scene.saved(40)
  await settle(t, scene, 'a cluster master killed, its replica promoted')
})
