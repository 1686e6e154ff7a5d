/** Another Redis takes over, with or without all that the one before it knew (DESIGN §7, eras). */
import { type Test, t } from 'tap'
import { startRedis, startSentinel } from '../support/redis.ts'
import { Scene } from '../support/scene.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

async function settle(t: Test, scene: Scene, fault: string): Promise<void> {
  const { dropped } = await scene.close(fault)
  t.equal(dropped, 0, 'no socket dropped')
}

await t.test('Sentinel makes the replica the master', async t => {
  const { url, failover } = await startSentinel(t)
  const scene = await Scene.open(t, { buses: [url, url] })
  scene.load()
  await scene.saved(40)
  await failover()
  await scene.told('up')
  await scene.saved(40)
  await settle(t, scene, 'a failover by Sentinel')
})

await t.test('the master dies, and Sentinel finds out', async t => {
  const { url, master } = await startSentinel(t)
  const scene = await Scene.open(t, { buses: [url, url] })
  scene.load()
  await scene.saved(40)
  const old = await master()
  await old.kill()
  await scene.told('down')
  await scene.told('up')
  t.not(await master(), old)
  await scene.saved(40)
  await settle(t, scene, 'a master killed under Sentinel')
})

await t.test('a replica that lags behind is promoted by hand', async t => {
  const master = await startRedis(t)
  const replication = await TcpProxy.open(t, master.address)
  const replica = await startRedis(t, { replicaof: `127.0.0.1 ${replication.port}` })
  await until(async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'), {
    what: 'the replica to be in step',
  })
  const address = await TcpProxy.open(t, master.address)
  const scene = await Scene.open(t, { buses: [address.url, address.url] })
  scene.load()
  await scene.saved(40)
  // Who falls asleep now knows just the heads that the replica keeps.
  scene.rest()
  await scene.quiet()
  const [sleepers, others] = [scene.clients.slice(0, 2), scene.clients.slice(2)]
  for (const client of sleepers) client.leave()
  await until(async () => (await master.cli('WAIT', 1, 100)) === '1', { what: 'the replica to have all' })
  replication.stall()

  scene.load()
  await scene.saved(80)
  scene.rest()
  await scene.quiet(others)
  await master.kill()
  await replica.cli('REPLICAOF', 'NO', 'ONE')
  address.switchTo(replica.address)
  await scene.told('down')
  await scene.told('up')
  for (const client of sleepers) client.connect()
  await scene.quiet()
  t.same(
    scene.clients.flatMap(client => client.missing()),
    [],
    'all is told without another event',
  )
  scene.load()
  await scene.saved(40)
  await settle(t, scene, 'a lagging replica promoted by hand')
})
