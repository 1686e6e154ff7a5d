/** Nodes that end, with and without a word, while events go through them (DESIGN §13). */
import { t } from 'tap'
import { startRedis } from '../support/redis.ts'
import { Scene } from '../support/scene.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)
const redis = await startRedis(t)
const three = [redis.url, redis.url, redis.url]

await t.test(
  'a node that is killed: its clients come back elsewhere and are whole, the others notice nothing',
  async t => {
    const scene = await Scene.open(t, { buses: three })
    scene.load()
    await scene.saved(60)
    const doomed = scene.nodes[0]!
    const bereft = scene.clients.filter(({ node }) => node === doomed).length
    scene.drop(doomed)
    doomed.kill('SIGKILL')
    await until(() => scene.clients.every(({ quiet, node }) => quiet && node !== doomed), { what: 'all to be back' })
    await scene.saved(60)
    const { dropped } = await scene.close('kill -9 of one node of three')
    t.equal(dropped, bereft, 'only the sockets of that node dropped')
  },
)

await t.test('three nodes are replaced one after the other: nothing is lost, nobody is thrown out', async t => {
  const scene = await Scene.open(t, { buses: three, environment: { THROUGHLINE_DRAIN_SECONDS: '3' } })
  scene.load()
  await scene.saved(40)
  const old = [...scene.nodes]
  for (const node of old) {
    await scene.start(redis.url)
    scene.drop(node)
    node.kill('SIGTERM')
    t.equal(await node.exit, 0)
  }
  await scene.saved(40)
  const { dropped, questions, published } = await scene.close('a rolling restart of three nodes')
  t.equal(dropped, 0, 'everyone left when asked to')
  t.ok(questions < published / 4, `${questions} questions: only those ask that are behind`)
})
