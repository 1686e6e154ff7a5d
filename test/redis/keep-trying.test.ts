import { Redis } from 'ioredis'
import { t } from 'tap'
import { keepTrying } from '../../src/redis/keep-trying.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

await t.test('a client that has ended connects again, until it is let go', async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url, { retryStrategy: () => null })
  client.on('error', () => {})
  const letGo = keepTrying(client)
  await until(() => client.status === 'ready', { what: 'the first connection' })
  await server.stop()
  await until(() => client.status === 'end', { what: 'the client to give up' })
  await server.restart()
  await until(() => client.status === 'ready', { what: 'the client to be connected again' })
  t.equal(await client.ping(), 'PONG')
  letGo()
  client.disconnect()
  await until(() => client.status === 'end', { what: 'the end' })
})
