import { t } from 'tap'
import { ACME, callbackQueueContract, fact, GLOBEX, idsIn, state, take } from '../contract/callback-queue.ts'
import { newPrefix } from '../contract/node.ts'
import { type RedisServer, startSentinel } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openQueue } from './open.ts'

// A sentinel takes some 10 s to make the old master a replica.
t.setTimeout(300_000)

const { address, servers, failover } = await startSentinel(t)

await t.test('the queue keeps the contract on a master that Sentinel names', async t => {
  await callbackQueueContract(t, t => openQueue(t, address, newPrefix()))
})

/** Makes a call again until its outcome is known, which is safe (queue.ts). */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  let answer: { value: T } | undefined
  await until(
    async () => {
      answer = await call().then(
        value => ({ value }),
        () => undefined,
      )
      return answer !== undefined
    },
    { ms: 30_000, what: 'the new master to answer' },
  )
  return answer!.value
}

const offsetOf = async (server: RedisServer): Promise<string | undefined> =>
  /master_repl_offset:(\d+)/.exec(await server.cli('INFO', 'replication'))?.[1]

await t.test('after a failover it goes on where it was: what was taken, waits, failed, is paused', async t => {
  const prefix = newPrefix()
  const [one, two] = [await openQueue(t, address, prefix), await openQueue(t, address, prefix)]
  const older = state('older', '7', false)
  await one.add(ACME, 'c', [fact('a'), state('on', '7', true)])
  const first = await take(one)
  await one.add(ACME, 'c', [fact('b')])
  await one.pause(GLOBEX)
  await one.add(GLOBEX, 'c', [fact('x')])
  await until(async () => (await offsetOf(servers[0])) === (await offsetOf(servers[1])), {
    what: 'a replica that has it all',
  })

  await failover()
  const [old] = servers
  await until(async () => (await old.cli('ROLE')).startsWith('slave'), {
    ms: 30_000,
    what: 'the old master to give in',
  })
  await insist(() => two.add(ACME, 'c', [fact('c'), older]))
  await insist(() => one.done(ACME, 'c', first, { kind: 'retry', delayMs: 0, error: 'it said 500' }))
  const again = await take(two)
  t.same([again.id, again.body, again.attempt], [first.id, first.body, 2])
  await two.done(ACME, 'c', again, { kind: 'ok' })
  t.same(idsIn(await take(two)), ['b', 'c'], 'the versions of states were kept')
  t.match(await two.status(GLOBEX), { state: 'paused', depth: 1 })
})
