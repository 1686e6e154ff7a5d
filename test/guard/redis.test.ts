/**
 * What Redis is asked to do for an event, for a connection and for its threads, counted in commands (INFO commandstats).
 * No times, so it must hold on any machine.
 */
import t, { type Test } from 'tap'
import { close, open } from '../../bench/load/crowd.ts'
import { frameOfText } from '../../bench/lib/receiver.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { DATA, GuardedNode, NOBODY } from './node.ts'

t.setTimeout(300_000)

const EVENTS = 1000
const CONNECTIONS = 1000
/** What a node at rest asks for in the meantime: ticks, leases, eras. */
const AT_REST = 200
/** What nodes themselves send; all else is called by a script. */
const SENT = new Set(['evalsha', 'eval', 'subscribe', 'unsubscribe', 'hello', 'script', 'ping'])

interface Commands {
  /** That nodes sent: each is a packet that Redis reads and answers. */
  readonly sent: number
  /** All, those of scripts too. */
  readonly all: number
}

async function commandsOf(t: Test, redis: RedisServer, act: () => Promise<unknown>): Promise<Commands> {
  const before = await countsOf(redis)
  await act()
  const after = await countsOf(redis)
  const calls = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
  t.comment(Object.fromEntries(calls.filter(([, count]) => count > 0)))
  const sum = (counted: readonly (readonly [string, number])[]): number => counted.reduce((all, [, n]) => all + n, 0)
  return { sent: sum(calls.filter(([name]) => SENT.has(name))), all: sum(calls) }
}

async function countsOf(redis: RedisServer): Promise<Map<string, number>> {
  const stats = (await redis.cli('INFO', 'commandstats')).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)
  return new Map(Array.from(stats, ([, name = '', calls]) => [name, Number(calls)]))
}

async function start(t: Test): Promise<{ redis: RedisServer; node: GuardedNode }> {
  const redis = await startRedis(t)
  return { redis, node: await GuardedNode.start(t, redis.url) }
}

await t.test('an event is one command, which calls five', async t => {
  const { redis, node } = await start(t)
  const publish = await node.publisher(t)
  const { sent, all } = await commandsOf(t, redis, () => publish(node.server.publishing(NOBODY, DATA), EVENTS))
  t.ok(sent >= EVENTS && sent < EVENTS + AT_REST, `${sent} sent for ${EVENTS} events`)
  t.ok(all < 6 * EVENTS + AT_REST, `${all} in all for ${EVENTS} events`)
})

await t.test('a client’s `send` is one command', async t => {
  const { redis, node } = await start(t)
  const [sender, other] = await open(node.server, { payload: 0 }, [0, 2], () => ['t1'])
  t.teardown(() => close([sender!, other!]))
  const frames = Buffer.concat(Array<Buffer>(100).fill(frameOfText(node.server.sending!('t1'))))
  const { all } = await commandsOf(t, redis, async () => {
    sender!.write(frames)
    for (let i = 0; i < 100; i++) await other!.next()
  })
  t.ok(all >= 100 && all < 100 + AT_REST / 2, `${all} for 100 frames`)
})

// Who comes to a thread is in its presence, so some of it grows with the threads; what a node sends does not.
for (const { threads, most } of [
  { threads: 1, most: 35 },
  { threads: 20, most: 120 },
]) {
  await t.test(`a connection in ${threads} threads, of others too, is less than two commands`, async t => {
    const { redis, node } = await start(t)
    const names = Array.from({ length: threads }, (_, i) => `t${10 + i}`)
    const { sent, all } = await commandsOf(t, redis, async () => {
      const receivers = await node.join(0, CONNECTIONS, names)
      t.teardown(() => close(receivers))
    })
    t.ok(sent >= CONNECTIONS && sent < 2 * CONNECTIONS, `${sent} sent for ${CONNECTIONS} connections`)
    t.ok(all < most * CONNECTIONS, `${all} in all`)
  })
}
